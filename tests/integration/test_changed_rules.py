"""Rules that change for points already earned: the next run brings every midnight to what the new ones say."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text

import oracle
from ledger import balance, profile, program_of, record, settle, wipe
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile

KINDS = {"points.loyalty": 10}
FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
NIGHTS = text(
    "SELECT (params ->> 'midnight')::date AS night, -sum(points)::bigint AS points FROM loyalty.event "
    "WHERE source = 'rolling_expiry' GROUP BY 1 HAVING sum(points) <> 0"
)


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Europe/Warsaw", "America/New_York"),
        ("America/New_York", "Europe/Warsaw"),
        ("UTC", "Pacific/Kiritimati"),
        ("Pacific/Kiritimati", "Pacific/Pago_Pago"),
    ],
)
def test_another_zone_settles_every_midnight_anew(connection: Connection, before: str, after: str) -> None:
    """West or east: an entry of before belongs to the midnight that it was made for, and to no other."""
    entries = [oracle.Entry(FIRST + timedelta(days=n, hours=5 * n), "collected", 10 + n, 10) for n in range(8)]
    with connection.begin():
        wipe(connection)
        apply_program(connection, program_of(before, KINDS), resettle=True)
        customer = profile(connection, "the customer")
        for entry in entries:
            record(connection, customer, "points.loyalty", entry.at, entry.points)
    for day in range(10, 16):
        settle(connection, program_of(before, KINDS), FIRST.date() + timedelta(days=day))
    for zone in (after, before, after):
        with connection.begin():
            apply_program(connection, program_of(zone, KINDS), resettle=True)
        settle(connection, program_of(zone, KINDS), date(2026, 1, 20))
        with connection.begin():
            nights = {row.night: row.points for row in connection.execute(NIGHTS)}
            assert nights == oracle.settle(entries, date(2026, 1, 20), ZoneInfo(zone))
            assert balance(connection, customer) == sum(entry.points for entry in entries) - sum(nights.values())
            assert broken(reconcile(connection)) == []
