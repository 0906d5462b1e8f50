"""A browser in front of Airflow, and somebody who has logged in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from loyalty.local.processes import wait_until
from loyalty.store.database import transaction

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make setup` installs it")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium: `apt-get install chromium` brings it"
)
SECONDS = 120
DAG = "batch_cancellation"


@contextmanager
def logged_in(airflow: Any) -> Iterator[Any]:
    """A page of a browser in which the administrator has logged in through the form."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield log_in(browser, airflow, "admin")
        browser.close()


def log_in(browser: Any, airflow: Any, user: str) -> Any:
    """A page of this browser, which shares nothing with others, after the user has logged in."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(SECONDS * 1000)
    page.goto(airflow.stack.url)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(airflow.stack.passwords()[user])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/auth/login" not in url)
    return page


def answer(page: Any, airflow: Any, dag_run: str, word: str) -> None:
    """Somebody has opened the question whether a cancellation may go on, read it, and clicked on this button."""
    assert wait_until(lambda: airflow.api.question(DAG, dag_run, "approve_run"), SECONDS, interval=0.5)
    page.goto(f"{airflow.stack.url}/dags/{DAG}/runs/{dag_run}/tasks/approve_run/required_actions")
    page.get_by_text("are to be cancelled").wait_for()
    page.get_by_role("button", name=word, exact=True).click()


def decision(airflow: Any, dag_run: str) -> tuple[Any, ...]:
    """What the run's record says of the decision: how it ended, what was decided, by whom, and whether in time."""
    asked = text(
        "SELECT state, decision, decided_by, decided_at BETWEEN started_at AND clock_timestamp() AS in_time "
        "FROM loyalty.journey_run WHERE run_key = :key"
    )
    with transaction(airflow.ledger) as connection:
        return tuple(connection.execute(asked, {"key": dag_run}).one())
