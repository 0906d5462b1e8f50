"""Somebody opens Airflow's UI in a browser and rejects a run (test_browser_dashboard.py: approves one)."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from e2e import crowd
from e2e.browser import DAG, answer, decision, logged_in, needs_browser
from loyalty.store.database import transaction

pytestmark = needs_browser

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
    dag_run = airflow.api.trigger(DAG, conf={"spare_days": crowd.SPARE_DAYS})
    answer(page, airflow, dag_run, "Reject")
    assert airflow.wait(DAG, dag_run, 300).state == "success"
    assert decision(airflow, dag_run) == ("rejected", "rejected", "admin", True)
    assert touched(airflow) == 0
    assert holdings(airflow) == before
