"""A night of the batch cancellation in a real Airflow: asked for, approved, answered by the world outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from e2e import crowd
from e2e.world import World
from loyalty.local.processes import wait_until
from loyalty.model.program import Program
from loyalty.store.database import transaction

DAG = "batch_cancellation"


@dataclass(frozen=True)
class Night:
    """A first round that has ended: what was told before it, and the numbers of its runs."""

    told: crowd.Facts
    dag_run: str
    run_id: int
    as_of: datetime


@contextmanager
def first_round(airflow: Any, program: Program, customers: int, chunk_size: int) -> Iterator[Night]:
    """Somebody has asked for a cancellation, seen the preview, and approved; the world outside has answered."""
    with crowd.working_by(airflow, program):
        crowd.gather(airflow.ledger, program, customers)
        with transaction(airflow.ledger) as connection:
            told = crowd.facts(connection)
        with World(airflow.ledger, customers):
            dag_run = cancel(airflow, {"spare_days": crowd.SPARE_DAYS, "chunk_size": chunk_size}, "Approve")
        with transaction(airflow.ledger) as connection:
            run_id = crowd.newest_run(connection)
            as_of = connection.scalar(text("SELECT as_of FROM loyalty.journey_run WHERE run_id = :r"), {"r": run_id})
        yield Night(told, dag_run, run_id, as_of)


def cancel(airflow: Any, conf: dict[str, Any], answer: str) -> str:
    """A run that somebody has answered, through the REST API, and that has succeeded."""
    start(airflow, DAG)
    dag_run = airflow.api.trigger(DAG, conf=conf)
    assert wait_until(lambda: airflow.api.question(DAG, dag_run, "approve_run"), 600, interval=0.5)
    airflow.api.answer(DAG, dag_run, "approve_run", answer)
    assert airflow.wait(DAG, dag_run, 600).state == "success"
    return str(dag_run)


def start(airflow: Any, dag_id: str) -> None:
    airflow.api.wait_for_dag(dag_id)
    airflow.api.unpause(dag_id)


def tasks(airflow: Any, dag_run: str) -> list[dict[str, Any]]:
    """Every task of a run of the cancellation, as the REST API tells it."""
    where = f"/api/v2/dags/{DAG}/dagRuns/{dag_run}/taskInstances"
    return list(airflow.rest.call("GET", where, params={"limit": 100})["task_instances"])


def everybody_ended_as_they_must(airflow: Any, night: Night) -> dict[str, crowd.Fate]:
    """How each member must have ended by plain arithmetic, and has, row by row."""
    expected = crowd.fates(night.told, night.as_of)
    found = crowd.books(airflow.ledger, night.run_id)
    assert found.members == expected
    assert found.cancelled == {who: [-fate.points] for who, fate in expected.items() if fate.points}
    assert sorted(found.returned) == sorted(who for who, fate in expected.items() if fate.returned)
    assert found.balances == crowd.balances_after(night.told, expected)
    assert found.live_locks == 0
    return expected


def everybody_heard_how_many(airflow: Any, night: Night) -> None:
    """Who lost points, consents and has an address was told so in one message, whoever sent it."""
    fates = crowd.fates(night.told, night.as_of)
    assert crowd.heard(airflow, night.run_id) == crowd.owed(fates, crowd.balances_after(night.told, fates))
