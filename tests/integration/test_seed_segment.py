"""What the segment of the use case misses, which asks only for points that fell due in the last 24 hours."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import balance, profile, program_of, record, settle
from loyalty.services.apply_program import apply_program
from loyalty.store.database import transaction

PROGRAM = program_of()
EARNED = datetime(2026, 1, 1, tzinfo=UTC)
DUE = date(2026, 7, 2)
NIGHTS = [DUE + timedelta(days=n) for n in range(4)]


@pytest.mark.parametrize(
    ("segment", "skipped", "left"),
    [
        ("seed_points_to_expire", None, [0, 0]),
        ("seed_points_to_expire", DUE, [100, 0]),
        ("points_to_expire", DUE, [0, 0]),
    ],
    ids=["the seed's, every night run", "the seed's, one night missed", "the default, one night missed"],
)
def test_one_missed_night(database: Engine, segment: str, skipped: date | None, left: list[int]) -> None:
    """The first customer's points are due at the first night, the second's at the next."""
    with transaction(database) as connection:
        apply_program(connection, PROGRAM)
        customers = [profile(connection, name) for name in ("first", "second")]
        for n, customer in enumerate(customers):
            record(connection, customer, "points.loyalty", EARNED + timedelta(days=n), 100)
    with database.connect() as connection:
        for night in NIGHTS:
            if night != skipped:
                settle(connection, PROGRAM, night, segment=segment)
        assert [balance(connection, customer) for customer in customers] == left


def test_a_run_of_some_customers_settles_the_program_only_where_it_leaves_nobody_out(database: Engine) -> None:
    """Else the books would close a day whose expiry is missing."""
    with transaction(database) as connection:
        apply_program(connection, PROGRAM)
        for n, name in enumerate(("first", "second")):
            record(connection, profile(connection, name), "points.loyalty", EARNED + timedelta(days=n), 100)
    with database.connect() as connection:
        settle(connection, PROGRAM, DUE + timedelta(days=1), segment="seed_points_to_expire")
        assert settled_through(connection) < DUE  # the first customer's points were due a night before
        settle(connection, PROGRAM, DUE + timedelta(days=1))
        settle(connection, PROGRAM, DUE + timedelta(days=2), segment="seed_points_to_expire")
        assert settled_through(connection) == DUE + timedelta(days=2)


def settled_through(connection: Connection) -> date:
    with connection.begin():
        day: date = connection.execute(text("SELECT settled_through FROM loyalty.program")).scalar_one()
    return day
