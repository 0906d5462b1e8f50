"""What every DAG file keeps to, whatever its journey."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

PROJECT = Path(__file__).parents[2]
FILES = sorted((PROJECT / "dags").glob("*.py"))
SECTIONS = ("What it does", "When it runs", "Running it again", "After missed", "Where the numbers are")
ALLOWED_CALLS = {"DAG", "Param", "pendulum.datetime", "program_days", "cancellation_plan", "cancel_chunk.expand"}
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@pytest.fixture(params=[file.stem for file in FILES])
def dag(request: pytest.FixtureRequest, dags: dict[str, Any]) -> Any:
    return dags[request.param]


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@every_file
def test_a_file_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 80


@every_file
def test_a_file_is_imported_fast_and_without_a_database(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setattr(psycopg, "connect", pytest.fail)
    monkeypatch.setattr(psycopg.Connection, "connect", pytest.fail)
    bag = DagBag(file)
    assert bag.import_errors == {}
    assert list(bag.dags) == [file.stem]
    assert bag.dagbag_stats[0].duration.total_seconds() < 5


@every_file
def test_a_file_calls_nothing_but_what_makes_a_dag(file: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)}
    operators = {name for name in calls if re.fullmatch(r"(step\.)?([A-Z][a-z]+)+", name)}
    assert calls - operators <= ALLOWED_CALLS


def test_the_documentation_answers_an_operator(dag: Any) -> None:
    headings = re.findall(r"^## (.+)$", dag.doc_md, re.MULTILINE)
    assert len(headings) == len(SECTIONS)
    assert all(heading.startswith(wanted) for heading, wanted in zip(headings, SECTIONS, strict=True))


def test_a_dag_has_a_description_tags_and_one_run_at_a_time(dag: Any) -> None:
    assert dag.description
    assert "loyalty" in dag.tags
    assert dag.max_active_runs == 1
    assert not dag.catchup


def test_every_task_has_an_owner_and_retries_with_growing_delays(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner == "loyalty"
        assert task.retries >= 1
        assert task.retry_exponential_backoff > 1
        assert task.max_retry_delay


def test_every_task_is_named_like_its_operator_which_is_ours(dag: Any) -> None:
    for task in dag.tasks:
        assert snake_case(type(task).__name__) == task.task_id.rpartition(".")[2]
        assert type(task).__module__.startswith("loyalty.orchestration.")


def test_the_journey_is_a_chain(dags: dict[str, Any]) -> None:
    edges = {task.task_id: task.downstream_task_ids for task in dags["rolling_expiry"].tasks}
    chain = ["select_members", "expire_points", "reconcile", "send_mail", "report"]
    assert edges == {task: {after} for task, after in pairwise(chain)} | {"report": set()}
