"""The DAG rolling_expiry, run whole against a real ledger."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

import oracle
from ledger import balances, expired, profile, program_of, record
from loyalty.services.apply_program import apply_program

DAY = date(2026, 3, 10)
EARNED = datetime(2025, 9, 8, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
# What each customer earned on which day (counted from the first), and then spent.
HISTORY = {
    "anna": ([(0, 100), (1, 30)], 70),
    "boris": ([(0, 60)], 0),
    "celia": ([(0, 40)], 25),
    "dora": ([(0, 25), (2, 10)], 5),
    "emil": ([(0, 5), (1, 5)], 0),
}
Run = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("airflow_connection")


@pytest.fixture
def customers(database: Engine) -> dict[str, list[oracle.Entry]]:
    """The ledger holds the history; each customer's entries, as the oracle reads them."""
    spent_at = EARNED + timedelta(days=30)
    entries: dict[str, list[oracle.Entry]] = {}
    with database.begin() as connection:
        apply_program(connection, program_of())
        for name, (earnings, spent) in HISTORY.items():
            who = profile(connection, name)
            for days, points in earnings:
                record(connection, who, "points.loyalty", EARNED + timedelta(days=days), points)
            record(connection, who, "client.activatePromotion", spent_at, spent)
            earned = [
                oracle.Entry(EARNED + timedelta(days=days), "collected", points, 182) for days, points in earnings
            ]
            entries[name] = [*earned, oracle.Entry(spent_at, "used", spent)]
    return entries


def demanded(customers: dict[str, list[oracle.Entry]], day: date) -> dict[tuple[str, date], int]:
    nights = {name: oracle.settle(entries, day, UTC_ZONE) for name, entries in customers.items()}
    return {(name, night): points for name, due in nights.items() for night, points in due.items()}


def recorded(database: Engine) -> dict[tuple[str, date], int]:
    with database.begin() as connection:
        rows = connection.execute(text("SELECT profile_id, customer_id FROM loyalty.profile"))
        names = {row.profile_id: row.customer_id for row in rows}
        return {(names[who], night): points for (who, night), points in expired(connection).items()}


def test_a_run_settles_its_day_and_tells_its_totals(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run("rolling_expiry", key=str(DAY))
    assert ended.state == "success"
    assert recorded(database) == demanded(customers, DAY) != {}
    points = sum(demanded(customers, DAY).values())
    assert ended.pushed["expire_points"] == points
    assert ended.pushed["report"] == {
        "run_id": ended.pushed["select_members"],
        "business_date": str(DAY),
        "member_count": 5,
        "failed_count": 0,
        "points": points,
        "returned": 0,
        "shortfall": 0,
    }
    log = capsys.readouterr().out
    assert "so far 5 members" in log
    assert "8_expiry_follows_the_rule holds" in log
    assert f"as of {DAY}: 5 members, {points:,} points taken" in log


def test_the_same_run_cleared_and_run_again_changes_nothing(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]]
) -> None:
    first = run("rolling_expiry", key=str(DAY))
    before = recorded(database)
    again = run("rolling_expiry", key=str(DAY))
    assert again.state == "success"
    assert recorded(database) == before
    assert again.pushed["expire_points"] == 0
    assert again.pushed["report"] == first.pushed["report"]


def test_days_may_come_in_any_order(run: Run, database: Engine, customers: dict[str, list[oracle.Entry]]) -> None:
    for day in (DAY, DAY - timedelta(days=1), DAY + timedelta(days=1)):
        assert run("rolling_expiry", key=str(day), run_id=f"manual__{day}").state == "success"
    assert recorded(database) == demanded(customers, DAY + timedelta(days=1))


def test_a_retry_goes_on_where_the_task_stopped(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from loyalty.orchestration.rolling_expiry import ExpirePoints

    tell, calls = ExpirePoints._tell, []

    def crash_at_the_second_batch(operator: ExpirePoints, batch: Any) -> None:
        tell(operator, batch)
        calls.append(batch.member_count)
        if len(calls) == 2:
            raise ConnectionError("the network went away")

    monkeypatch.setattr(ExpirePoints, "_tell", crash_at_the_second_batch)
    ended = run("rolling_expiry", key=str(DAY))
    assert (ended.state, ended.tries["expire_points"]) == ("success", 2)
    assert sorted(calls) == [1, 2, 2]  # two ranges are worked on side by side, so the last may end before the second
    assert recorded(database) == demanded(customers, DAY)


def test_a_broken_ledger_fails_the_run_at_once_and_shows_the_rows(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]], capsys: pytest.CaptureFixture[str]
) -> None:
    with database.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE loyalty.account SET balance = balance + 1 WHERE profile_id = 2"))
    ended = run("rolling_expiry", key=str(DAY))
    assert ended.tasks == {
        "select_members": "success",
        "expire_points": "success",
        "reconcile": "failed",
        "send_mail": "upstream_failed",
        "report": "upstream_failed",
    }
    assert ended.tries["reconcile"] == 1
    assert "customer_id boris" in capsys.readouterr().out


def test_a_run_without_a_partition_key_is_refused_at_once(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run("rolling_expiry")
    assert (ended.tasks["select_members"], ended.tries["select_members"]) == ("failed", 1)
    assert "this run has no partition key" in capsys.readouterr().out
    assert recorded(database) == {}


def test_the_form_chooses_the_segment(run: Run, database: Engine, customers: dict[str, list[oracle.Entry]]) -> None:
    ended = run("rolling_expiry", key=str(DAY + timedelta(days=5)), segment="seed_points_to_expire")
    assert ended.pushed["report"]["member_count"] == 0


def test_an_unknown_segment_is_refused_at_once(
    run: Run, customers: dict[str, list[oracle.Entry]], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run("rolling_expiry", key=str(DAY), segment="points_to_expir")
    assert (ended.tasks["select_members"], ended.tries["select_members"]) == ("failed", 1)
    assert "did you mean 'points_to_expire'?" in capsys.readouterr().out


def test_without_a_connection_the_ledger_of_the_environment_serves(
    run: Run, database: Engine, customers: dict[str, list[oracle.Entry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_LOYALTY_POSTGRES")
    monkeypatch.setenv("LOYALTY_DATABASE_URL", database.url.render_as_string(hide_password=False))
    assert run("rolling_expiry", key=str(DAY)).state == "success"
    assert sum(balances_of(database).values()) == 275 - 100 - sum(demanded(customers, DAY).values())


def balances_of(database: Engine) -> dict[str, int]:
    with database.begin() as connection:
        return balances(connection)
