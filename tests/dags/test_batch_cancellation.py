"""The DAG batch_cancellation as Airflow runs it: what each task does, and what the run leaves behind."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from cancellation import activate, customer, program_with
from ledger import balances
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction

Run = Callable[..., Any]
PROGRAM = program_with(chunk_size=2, chunks_at_once=3)


@pytest.fixture
def program_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "program.yaml"
    path.write_text(yaml.safe_dump(PROGRAM.model_dump(mode="json")), encoding="utf-8")
    monkeypatch.setenv("LOYALTY_PROGRAM", str(path))
    return path


@pytest.fixture
def customers(database: Engine, airflow_connection: None) -> None:
    with transaction(database) as connection:
        apply_program(connection, PROGRAM)
        customer(connection, "anna", 100)
        customer(connection, "boris", 70, recent=30)
        customer(connection, "cleo", 500)
        activate(connection, "cleo", "mug")


def test_a_run_without_approval_goes_through(run: Run, database: Engine, customers: None) -> None:
    ended = run("batch_cancellation", run_id="manual__whole", approval="no")
    assert ended.state == "success"
    with database.begin() as connection:
        assert balances(connection) == {"anna": 0, "boris": 30, "cleo": 0}
        assert broken(reconcile(connection)) == []
    assert ended.pushed["report"] == {"run_id": 1, "member_count": 3, "failed_count": 0, "points": 670, "returned": 120}
    undone = run("undo_journey", run_id="manual__undo", **{"run": 1})
    assert undone.state == "success"
    with database.begin() as connection:
        assert balances(connection) == {"anna": 100, "boris": 100, "cleo": 500}


def test_a_dry_run_touches_nothing(run: Run, database: Engine, customers: None) -> None:
    ended = run("batch_cancellation", run_id="manual__dry", dry_run=True)
    assert ended.state == "success"
    with database.begin() as connection:
        assert balances(connection) == {"anna": 100, "boris": 100, "cleo": 380}


def test_as_many_chunks_as_the_program_says_are_locked_and_deducted_at_a_time(
    program_file: Path, dags: dict[str, Any]
) -> None:
    chunk = dags["batch_cancellation"].task_group_dict["cancel_chunk"]
    at_once = {task.label: task.max_active_tis_per_dagrun for task in chunk.iter_tasks()}
    assert {name for name, limit in at_once.items() if limit == 3} == {"lock_balances", "deduct_points"}


def test_who_is_locked_comes_before_who_is_not(dags: dict[str, Any], program_file: Path) -> None:
    """Where more waits than workers can do, a step of one chunk precedes what comes before it of another."""
    from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy

    chunk = dags["batch_cancellation"].task_group_dict["cancel_chunk"]
    weights = {
        task.label: validate_and_load_priority_weight_strategy(task.weight_rule).get_weight(SimpleNamespace(task=task))
        for task in chunk.iter_tasks()
    }
    in_order = ("lock_balances", "filter_clients", "deactivate_promotions", "deduct_points", "release_locks")
    assert [weights[name] for name in in_order] == sorted({weights[name] for name in in_order})
