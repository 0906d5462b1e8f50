"""Old events go that nothing needs, in batches that may be killed; no balance changes, and no midnight."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ledger import balances, expired, profile, program_of, record, settle
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.retention import retentions
from loyalty.services.apply_program import apply_program
from loyalty.services.apply_retention import apply_retention
from loyalty.services.reconcile import broken, reconcile

TODAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
RULE = {"name": "review", "action": "app.review", "earns": "points.loyalty", "points_per_event": 5}
PROGRAM = program_of(earning_rules=[RULE], retention={"actions": {"app.closed": 3}})
KEPT = retentions(PROGRAM, load_catalog(PROGRAM))


def ago(days: int) -> datetime:
    return NOON - timedelta(days=days)


@pytest.fixture
def connection(database: Engine) -> Any:
    with database.connect() as connection:
        with connection.begin():
            apply_program(connection, PROGRAM)
            for number in range(7):
                lived(connection, profile(connection, f"c{number}"))
        yield connection


def lived(connection: Connection, who: int) -> None:
    """Points, purchases, and custom events of every age; one of them is named by a correction."""
    for days in (400, 200, 100, 50, 31, 30, 29, 4, 2):
        record(connection, who, "points.loyalty", ago(days), 10)
        for action in ("transaction.charge", "app.review", "app.opened", "app.closed", "points.locked"):
            record(connection, who, action, ago(days))
    named = record(connection, who, "app.opened", ago(300))
    record(connection, who, "points.adjust", ago(60), 7, refers_to=named, params={"reason": "sorry"})
    record(connection, who, "client.activatePromotion", ago(150), 15)


def apply(connection: Connection, **more: Any) -> Counter[str]:
    return apply_retention(connection, KEPT, TODAY, **({"size": 3} | more))


def held(connection: Connection) -> list[str]:
    with connection.begin():
        return list(connection.scalars(text("SELECT e::text FROM loyalty.event e ORDER BY 1")))


def test_each_action_goes_in_its_time_and_nothing_else_does(connection: Connection) -> None:
    before = held(connection)
    assert apply(connection) == {"app.opened": 7 * 5, "app.closed": 7 * 8}
    gone = set(before) - set(held(connection))
    assert {one.split(",")[2] for one in gone} == {"app.opened", "app.closed"}
    oldest = text("SELECT min(occurred_at) FROM loyalty.event WHERE action = :a AND occurred_at <> :named")
    with connection.begin():
        for action, days in (("app.opened", 30), ("app.closed", 2)):
            assert connection.scalar(oldest, {"a": action, "named": ago(300)}) == ago(days)
    assert apply(connection) == {}


def test_no_balance_changes_and_no_midnight(connection: Connection) -> None:
    settle(connection, PROGRAM, TODAY - timedelta(days=9))
    with connection.begin():
        before = balances(connection), expired(connection)
    apply(connection)
    with connection.begin():
        assert (balances(connection), expired(connection)) == before
        assert broken(reconcile(connection)) == []
    settle(connection, PROGRAM, TODAY)
    with connection.begin():
        assert broken(reconcile(connection)) == []


def test_killed_in_the_middle_it_goes_on(connection: Connection) -> None:
    class KilledError(Exception):
        pass

    def kill(_gone: Counter[str]) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        apply(connection, on_batch=kill)
    assert apply(connection) == {"app.opened": 4 * 5, "app.closed": 4 * 8}


@pytest.mark.parametrize(
    ("exception", "statement"),
    [
        ("", "DELETE FROM loyalty.event WHERE action = 'app.opened'"),
        ("", "UPDATE loyalty.event SET params = '{}' WHERE action = 'app.opened'"),
        ("retention", "DELETE FROM loyalty.event WHERE action = 'points.loyalty'"),
        ("retention", "DELETE FROM loyalty.event WHERE action = 'app.review'"),
        ("retention", "DELETE FROM loyalty.event WHERE action = 'points.locked'"),
        ("forgetting", "UPDATE loyalty.event SET points = 11 WHERE points = 10"),
        ("forgetting", "UPDATE loyalty.event SET occurred_at = now()"),
    ],
)
def test_nobody_deletes_or_changes_events_otherwise(connection: Connection, exception: str, statement: str) -> None:
    with connection.begin():
        connection.execute(text("SELECT set_config('loyalty.exception', :name, true)"), {"name": exception})
        with pytest.raises(DBAPIError, match="never changed or deleted"), connection.begin_nested():
            connection.execute(text(statement))


def test_settings_that_ask_for_more_get_no_more(connection: Connection) -> None:
    """Whatever is asked of the database, points, signals and what feeds a rule stay."""
    asked = {
        "cutoffs": json.dumps(dict.fromkeys(("points.loyalty", "points.locked", "app.review"), "2100-01-01")),
        "after": 0,
        "size": 100,
    }
    statement = "SELECT deleted FROM loyalty.delete_old_events(:after, :size, :cutoffs, '2100-01-01', '{}')"
    with connection.begin():
        assert connection.scalar(text(statement), asked) == {
            "app.opened": 7 * 9,
            "app.closed": 7 * 9,
            "transaction.charge": 7 * 9,
        }
        connection.rollback()
