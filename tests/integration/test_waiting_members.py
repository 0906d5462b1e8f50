"""The members of a night are worked on in ranges of one size, some at a time; few of them by nobody else."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import balances, program_of, wipe
from loyalty.definitions.balance import balance_catalog
from loyalty.services.apply_program import apply_program
from loyalty.services.expire_points import Batch
from loyalty.services.rolling_expiry import expire, finish, snapshot

PROGRAM = program_of(validity={"points.loyalty": 10})
EARNED, DUE = datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 11)
CUSTOMERS = "INSERT INTO loyalty.profile (customer_id) SELECT 'c' || n FROM generate_series(1, :count) AS n"
EARN = (
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, gen_random_uuid(), 'points.loyalty', :at, 7, '{\"points\": 7}', 'test' FROM loyalty.profile"
)


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


def night(connection: Connection, members: int) -> int:
    """A run whose members, so many, wait for it."""
    with connection.begin():
        wipe(connection)
        apply_program(connection, PROGRAM)
        connection.execute(text(CUSTOMERS), {"count": members})
        connection.execute(text(EARN), {"at": EARNED})
    return snapshot(connection, PROGRAM, balance_catalog(PROGRAM), run_key="a night", business_date=DUE)


@pytest.mark.parametrize(
    ("members", "size", "batches"),
    [
        (1, 50_000, [1]),
        (184, 50_000, [184]),
        (1_000, 50_000, [1_000]),
        (1_001, 50_000, [500, 501]),
        (2_500, 50_000, [833, 833, 834]),
        (5_000, 50_000, [1_250] * 4),
        (12_000, 50_000, [2_400] * 5),
        (2_500, 600, [500] * 5),
        (100, 30, [25] * 4),
    ],
)
def test_ranges_are_alike_and_everybody_is_in_one(
    connection: Connection, members: int, size: int, batches: list[int]
) -> None:
    run_id, heard = night(connection, members), list[Batch]()
    assert expire(connection, run_id, size=size, on_batch=heard.append) == 7 * members
    assert sorted(batch.member_count for batch in heard) == batches
    assert finish(connection, run_id).points == 7 * members
    assert set(balances(connection).values()) == {0}


def test_whoever_waits_for_nothing_is_not_asked(connection: Connection) -> None:
    run_id, heard = night(connection, 0), list[Batch]()
    assert expire(connection, run_id, size=10, on_batch=heard.append) == 0
    assert heard == []
