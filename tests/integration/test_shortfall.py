"""What was due and no longer there is told once, by the run that settles its midnight first."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import profile, program_of, record, settle, wipe
from loyalty.definitions.balance import balance_catalog
from loyalty.services.apply_program import apply_program
from loyalty.services.rolling_expiry import run_rolling_expiry

PROGRAM = program_of(validity={"points.loyalty": 10})
EARNED = datetime(2026, 1, 1, tzinfo=UTC)
DUE = date(2026, 1, 11)
LOCK = text("UPDATE loyalty.account SET lock_expires_at = CAST(:until AS timestamptz)")


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


@pytest.fixture
def earner(connection: Connection) -> int:
    """A customer with 100 points that fall due."""
    with connection.begin():
        wipe(connection)
        apply_program(connection, PROGRAM)
        customer = profile(connection, "the customer")
        record(connection, customer, "points.loyalty", EARNED, 100)
    return customer


@pytest.fixture
def customer(connection: Connection, earner: int) -> int:
    """Of 100 points due, 60 were spent after their midnight and before any run."""
    with connection.begin():
        record(connection, earner, "client.activatePromotion", EARNED + timedelta(days=11), 60)
    return earner


def run(connection: Connection, key: str, day: date) -> int:
    catalog = balance_catalog(PROGRAM)
    return run_rolling_expiry(connection, PROGRAM, catalog, run_key=key, business_date=day, ahead=True).shortfall


def test_a_late_arrival_does_not_tell_it_again(connection: Connection, customer: int) -> None:
    assert settle(connection, PROGRAM, DUE + timedelta(days=5)).shortfall == 60
    for n in range(2):
        with connection.begin():
            record(connection, customer, "points.loyalty", EARNED - timedelta(hours=n), 7)
        totals = settle(connection, PROGRAM, DUE + timedelta(days=6 + n))
        assert (totals.points, totals.shortfall) == (7, 0)


def test_whose_balance_was_locked_at_the_midnight_is_told_of_by_the_next_run(
    connection: Connection, earner: int
) -> None:
    with connection.begin():
        connection.execute(LOCK, {"until": datetime.now(UTC) + timedelta(hours=1)})
    assert settle(connection, PROGRAM, DUE).shortfall == 0
    with connection.begin():
        connection.execute(LOCK, {"until": None})
        record(connection, earner, "client.activatePromotion", EARNED + timedelta(days=10, hours=1), 60)
    totals = settle(connection, PROGRAM, DUE + timedelta(days=1))
    assert (totals.points, totals.shortfall) == (40, 60)


def test_a_run_that_is_repeated_keeps_what_it_told(connection: Connection, customer: int) -> None:
    assert run(connection, "one", DUE + timedelta(days=5)) == 60
    with connection.begin():
        record(connection, customer, "points.loyalty", EARNED, 7)
    assert run(connection, "one", DUE + timedelta(days=5)) == 60
    with connection.begin():
        assert connection.scalars(text("SELECT shortfall FROM loyalty.journey_run")).all() == [60]
