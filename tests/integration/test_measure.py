"""The planner knows about how many profiles the events are of, which autovacuum tells it of each partition only."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import program_of, wipe
from loyalty.services.apply_program import apply_program
from loyalty.services.measure import measure_events

CUSTOMERS = "INSERT INTO loyalty.profile (customer_id) SELECT 'c' || n FROM generate_series(1, :count) AS n"
EARN = """
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source)
    SELECT profile_id, gen_random_uuid(), 'points.loyalty', '2026-01-01 00:00Z', 7, '{"points": 7}', 'test'
    FROM loyalty.profile ORDER BY profile_id LIMIT :count
"""
GROUPS = "EXPLAIN (FORMAT JSON) SELECT profile_id, sum(points) FROM loyalty.event GROUP BY profile_id"
KNOWN = "SELECT reltuples FROM pg_class WHERE oid = 'loyalty.event'::regclass"


@pytest.fixture
def connection(database: Engine) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


def earn(connection: Connection, count: int) -> None:
    """So many profiles have an event more, of which autovacuum has heard."""
    with connection.begin():
        connection.execute(text(EARN), {"count": count})
        for part in range(16):
            connection.execute(text(f"ANALYZE loyalty.event_{part}"))


def begin_with(connection: Connection, count: int) -> None:
    with connection.begin():
        wipe(connection)
        apply_program(connection, program_of())
        connection.execute(text(CUSTOMERS), {"count": count})
    earn(connection, count)


def look(connection: Connection, statement: str) -> object:
    with connection.begin():
        return connection.scalar(text(statement))


def expected_groups(connection: Connection) -> int:
    """How many profiles the planner thinks that the events are of."""
    with connection.begin():
        [found] = connection.execute(text(GROUPS)).scalar_one()
        return int(found["Plan"]["Plan Rows"])


def test_events_of_many_profiles_are_not_taken_for_those_of_two_hundred(connection: Connection) -> None:
    begin_with(connection, 12_000)
    assert expected_groups(connection) == 200
    measure_events(connection)
    assert expected_groups(connection) == pytest.approx(12_000, rel=0.1)


def test_few_events_are_not_measured(connection: Connection) -> None:
    begin_with(connection, 9_000)
    measure_events(connection)
    assert look(connection, KNOWN) == -1


@pytest.mark.parametrize(("more", "known"), [(2_000, 12_000), (3_000, 15_000)])
def test_events_are_measured_again_where_they_have_become_a_fifth_more(
    connection: Connection, more: int, known: int
) -> None:
    begin_with(connection, 12_000)
    measure_events(connection)
    earn(connection, more)
    measure_events(connection)
    assert look(connection, KNOWN) == known
