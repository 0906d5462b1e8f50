"""Somebody opens Airflow's UI in a browser and approves one run, and rejects another."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from e2e import crowd
from e2e.browser import SECONDS, logged_in, needs_browser
from loyalty.local.processes import wait_until
from loyalty.store.database import transaction

pytestmark = needs_browser

DAG = "batch_cancellation"
CUSTOMERS = 120
PROGRAM = crowd.crowd_program(1000, engine="database", exclude_countries=[])


@pytest.fixture(scope="module")
def page(airflow: Any) -> Iterator[Any]:
    """A page of a browser in which ``admin`` has logged in through the form."""
    with logged_in(airflow) as page:
        yield page


@pytest.fixture
def cancellations(airflow: Any) -> Iterator[None]:
    """A few customers, and a DAG that waits to be asked."""
    with crowd.working_by(airflow, PROGRAM):
        crowd.gather(airflow.ledger, PROGRAM, CUSTOMERS)
        airflow.api.wait_for_dag(DAG)
        airflow.api.unpause(DAG)
        yield


def answer(page: Any, airflow: Any, word: str) -> str:
    """A run whose approval page somebody has opened, read, and answered with this button; it has ended."""
    dag_run = airflow.api.trigger(DAG, conf={"spare_days": crowd.SPARE_DAYS})
    assert wait_until(lambda: airflow.api.question(DAG, dag_run, "approve_run"), SECONDS, interval=0.5)
    page.goto(f"{airflow.stack.url}/dags/{DAG}/runs/{dag_run}/tasks/approve_run/required_actions")
    page.get_by_text("are to be cancelled").wait_for()
    page.get_by_role("button", name=word, exact=True).click()
    assert airflow.wait(DAG, dag_run, 300).state == "success"
    return str(dag_run)


def kept(airflow: Any, dag_run: str) -> tuple[Any, ...]:
    """What the run's record says of the decision."""
    asked = text(
        "SELECT state, decision, decided_by, decided_at BETWEEN started_at AND clock_timestamp() AS in_time "
        "FROM loyalty.journey_run WHERE run_key = :key"
    )
    with transaction(airflow.ledger) as connection:
        return tuple(connection.execute(asked, {"key": dag_run}).one())


def touched(airflow: Any) -> int:
    """How many members were asked for, and how many events runs have written."""
    asked = text(
        "SELECT (SELECT count(*) FROM loyalty.journey_member "
        "WHERE state <> 'selected' OR lock_requested_at IS NOT NULL) "
        "+ (SELECT count(*) FROM loyalty.event WHERE run_id IS NOT NULL) "
        "+ (SELECT count(*) FROM loyalty.account WHERE lock_run_id IS NOT NULL)"
    )
    with transaction(airflow.ledger) as connection:
        return int(connection.scalar(asked))


def holdings(airflow: Any) -> dict[str, int]:
    with transaction(airflow.ledger) as connection:
        return crowd.holdings(connection)


@pytest.mark.usefixtures("cancellations")
def test_after_a_click_on_reject_nothing_was_touched_and_the_run_says_who_it_was(page: Any, airflow: Any) -> None:
    before = holdings(airflow)
    dag_run = answer(page, airflow, "Reject")
    assert kept(airflow, dag_run) == ("rejected", "rejected", "admin", True)
    assert touched(airflow) == 0
    assert holdings(airflow) == before


@pytest.mark.usefixtures("cancellations")
def test_after_a_click_on_approve_the_points_are_gone_and_the_run_says_who_it_was(page: Any, airflow: Any) -> None:
    with transaction(airflow.ledger) as connection:
        told = crowd.facts(connection)
    dag_run = answer(page, airflow, "Approve")
    assert kept(airflow, dag_run) == ("completed", "approved", "admin", True)
    with transaction(airflow.ledger) as connection:
        as_of = connection.scalar(text("SELECT as_of FROM loyalty.journey_run WHERE run_key = :key"), {"key": dag_run})
        found = crowd.ended(connection, crowd.newest_run(connection))
    members = [who for who, history in told.items() if crowd.must_lose(history, as_of) > 0]
    assert found == {who: crowd.completed(told[who], as_of) for who in members}
