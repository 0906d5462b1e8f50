"""What the segment of the use case misses, which asks only for points that fell due in the last 24 hours."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

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
