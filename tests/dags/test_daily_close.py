"""The DAG daily_close, run whole against a real ledger."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import profile, program_of, record, settle
from loyalty.services.apply_program import apply_program
from loyalty.services.read_books import closed_days

DAY = date(2026, 3, 10)
EARNED = datetime(2026, 3, 7, 12, tzinfo=UTC)
Run = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("airflow_connection")


@pytest.fixture
def settled(database: Engine) -> Callable[[date], None]:
    """Anna has 100 points; settles midnights."""
    program = program_of()
    with database.begin() as connection:
        apply_program(connection, program)
        record(connection, profile(connection, "anna"), "points.loyalty", EARNED, 100)

    def settle_through(day: date) -> None:
        with database.connect() as connection:
            settle(connection, program, day)

    return settle_through


def days(database: Engine) -> list[date]:
    with database.begin() as connection:
        return [row["day"] for row in closed_days(connection)]


def test_a_run_closes_the_day_before_and_all_that_were_missed(
    run: Run, database: Engine, settled: Callable[[date], None], capsys: pytest.CaptureFixture[str]
) -> None:
    settled(DAY)
    ended = run("daily_close", key=str(DAY))
    assert ended.state == "success"
    assert days(database) == [DAY - timedelta(days=n) for n in (3, 2, 1)]
    assert ended.pushed["close_days"] | {"day": "2026-03-09", "closing": "100"} == ended.pushed["close_days"]
    assert "opening 0, closing 100" in capsys.readouterr().out
    again = run("daily_close", key=str(DAY), run_id="manual__two")
    assert again.pushed["close_days"] == ended.pushed["close_days"]


def test_it_waits_for_its_midnight(settled: Callable[[date], None], dags: dict[str, Any]) -> None:
    task = dags["daily_close"].get_task("await_settlement")
    context = {"dag_run": SimpleNamespace(partition_key=str(DAY))}
    settled(DAY - timedelta(days=1))
    assert (task.mode, task.poke(context)) == ("reschedule", False)
    settled(DAY)
    assert task.poke(context)


def test_a_ledger_without_points_has_no_books_yet(run: Run, database: Engine) -> None:
    with database.connect() as connection:
        with connection.begin():
            apply_program(connection, program_of())
        settle(connection, program_of(), DAY)
    ended = run("daily_close", key=str(DAY))
    assert ended.tasks == {"await_settlement": "success", "close_days": "skipped", "count_calendar": "skipped"}
    assert days(database) == []
