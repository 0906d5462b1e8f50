"""Rules that change for points already earned: the next run brings every midnight to what the new ones say."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text

import oracle
from ledger import balance, profile, program_of, record, settle, wipe
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.batch import take_batch
from loyalty.store.database import transaction

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


def test_customers_in_debt_keep_a_program_that_allows_it(connection: Connection) -> None:
    with connection.begin():
        wipe(connection)
        apply_program(connection, program_of(validity=KINDS, allow_debt=True), resettle=True)
        for name in ("one", "two"):
            record(connection, profile(connection, name), "client.activatePromotion", FIRST, 5)
    with pytest.raises(LoyaltyError, match="2 customers are in debt, which"), connection.begin():
        apply_program(connection, program_of(validity=KINDS))
    with connection.begin():
        apply_program(connection, program_of(validity=KINDS, allow_debt=True, batch_size=7))


# While others book ---------------------------------------------------------------------------------------------------

LONGER = program_of(validity={"points.loyalty": 20})


@pytest.fixture
def busy(connection: Connection) -> Connection:
    """A ledger with one customer, whose points wait for the earning rules."""
    with connection.begin():
        wipe(connection)
        apply_program(connection, program_of(validity=KINDS), resettle=True)
        record(connection, profile(connection, "the customer"), "points.loyalty", FIRST, 10)
        connection.execute(text("UPDATE loyalty.account SET award_from = now()"))
    return connection


def applying(database: Engine, program: Program) -> Thread:
    def apply() -> None:
        with transaction(database) as own:
            apply_program(own, program, resettle=True)

    thread = Thread(target=apply)
    thread.start()
    thread.join(0.5)
    return thread


def marks(connection: Connection) -> set[date]:
    with connection.begin():
        return set(connection.scalars(text("SELECT settle_on FROM loyalty.account")))


def test_new_rules_wait_for_what_is_being_booked(module_database: Engine, busy: Connection) -> None:
    with busy.begin():
        record(busy, profile(busy, "a new customer"), "points.loyalty", FIRST, 10)
        thread = applying(module_database, LONGER)
        assert thread.is_alive()
    thread.join()
    assert marks(busy) == {date(1, 1, 1)}


def test_what_is_booked_waits_for_new_rules(module_database: Engine, busy: Connection) -> None:
    def book() -> None:
        with transaction(module_database) as own:
            record(own, profile(own, "a new customer"), "points.loyalty", FIRST, 10)

    thread = Thread(target=book)
    with busy.begin():
        apply_program(busy, LONGER, resettle=True)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join()
    assert marks(busy) == {date(1, 1, 1), date(2026, 1, 22)}


def test_new_rules_and_whoever_holds_accounts_do_not_block_each_other(
    module_database: Engine, busy: Connection
) -> None:
    with busy.begin():
        take_batch(busy, "lock_awaiting", {"size": 10})
        thread = applying(module_database, LONGER)
        assert thread.is_alive()
        record(busy, profile(busy, "the customer"), "points.loyalty", FIRST, 10)
    thread.join()
    assert marks(busy) == {date(1, 1, 1)}


def test_rules_that_are_in_force_wait_for_nobody(module_database: Engine, busy: Connection) -> None:
    with busy.begin():
        record(busy, profile(busy, "the customer"), "points.loyalty", FIRST, 10)
        assert not applying(module_database, program_of(validity=KINDS)).is_alive()


def test_two_may_apply_new_rules_at_once(module_database: Engine, busy: Connection) -> None:
    with busy.begin():
        record(busy, profile(busy, "the customer"), "points.loyalty", FIRST, 10)
        threads = [applying(module_database, LONGER) for _ in range(2)]
    for thread in threads:
        thread.join()
    assert marks(busy) == {date(1, 1, 1)}


def test_while_new_rules_wait_for_a_long_reader_whoever_books_is_let_through(
    module_database: Engine, busy: Connection
) -> None:
    with busy.begin():
        busy.execute(text("SELECT FROM loyalty.program"))  # as a close of the books does, for minutes
        thread = applying(module_database, LONGER)
        with transaction(module_database) as own:
            record(own, profile(own, "a new customer"), "points.loyalty", FIRST, 10)
        assert thread.is_alive()
    thread.join()
    assert marks(busy) == {date(1, 1, 1)}
