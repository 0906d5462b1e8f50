"""A close happens once, in one moment, in order; what comes later is booked in the first open day; nothing changes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from bookkeeping import noon
from ledger import profile, program_of, record, settle, wipe
from loyalty.errors import LoyaltyError
from loyalty.services.apply_program import apply_program
from loyalty.services.close_days import close_days
from loyalty.services.look import rollforward
from loyalty.services.provision import provision
from loyalty.services.read_books import ageing, closed_days, cohorts, months
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction
from planting import Planter

PROGRAM = program_of(validity={"points.loyalty": 10})
START = date(2026, 3, 1)
CLOSED = ("daily_close", "daily_close_ageing", "daily_close_cohort")


def day(n: int) -> date:
    return START + timedelta(days=n)


@pytest.fixture
def database(module_database: Engine) -> Engine:
    return module_database


@pytest.fixture
def connection(database: Engine) -> Iterator[Connection]:
    """Anna earns 100 on the first day and spends 30 on the third; everything is settled through the twentieth."""
    with database.connect() as connection:
        with connection.begin():
            wipe(connection)
            apply_program(connection, PROGRAM)
            anna = profile(connection, "anna")
            record(connection, anna, "points.loyalty", noon(day(0)), 100)
            record(connection, anna, "client.activatePromotion", noon(day(2)), 30)
        settle(connection, PROGRAM, day(20))
        yield connection


@pytest.fixture
def plant(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planter]:
    planter = Planter(database, monkeypatch)
    yield planter
    planter.restore_functions()


def tell(connection: Connection, action: str, at: datetime, points: int, who: str = "anna") -> None:
    with connection.begin():
        record(connection, profile(connection, who), action, at, points)


def close(connection: Connection, last: int, first: int | None = None, program: Any = PROGRAM) -> list[dict[str, Any]]:
    return list(close_days(connection, program, first=None if first is None else day(first), last=day(last)))


def found(connection: Connection) -> dict[str, tuple[dict[str, Any], ...]]:
    with connection.begin():
        return {finding.invariant: finding.rows for finding in broken(reconcile(connection))}


def booked(connection: Connection) -> list[dict[str, Any]]:
    with connection.begin():
        return closed_days(connection)


def of(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_days_open_with_the_closing_of_the_day_before(connection: Connection) -> None:
    rows = close(connection, 12)
    assert [row["day"] for row in rows] == [day(n) for n in range(13)]
    assert of(rows[0], "opening", "prior_days", "earned", "closing") == (0, 0, 100, 100)
    assert of(rows[2], "opening", "redeemed", "closing") == (100, 30, 70)
    # Earned at noon, due at noon ten days later: the next midnight begins the eleventh day.
    assert of(rows[11], "opening", "expired", "closing") == (70, 70, 0)
    assert all(one["closing"] == two["opening"] for one, two in pairwise(rows))
    assert found(connection) == {}


def test_closing_again_changes_nothing_and_shows_the_same(connection: Connection) -> None:
    rows = close(connection, 3)
    assert close(connection, 3) == [rows[-1]]
    assert close(connection, 3, first=0) == rows
    assert close(connection, 2, first=2) == [rows[2]]


def test_the_first_close_may_come_later_with_all_before_it_as_prior_days(connection: Connection) -> None:
    [row] = close(connection, 3, first=3)
    assert of(row, "opening", "prior_days", "closing") == (0, 70, 70)
    with pytest.raises(LoyaltyError, match="the books begin with 2026-03-04"):
        close(connection, 1, first=1)


def test_what_arrives_for_a_closed_day_is_booked_once_in_the_first_open_one(connection: Connection) -> None:
    close(connection, 3)
    tell(connection, "points.loyalty", noon(day(1)), 11)
    tell(connection, "client.activatePromotion", noon(day(3)), 1)
    tell(connection, "points.loyalty", noon(day(4)), 5)
    four, five = close(connection, 5)
    assert of(four, "opening", "prior_days", "earned", "closing") == (70, 10, 5, 85)
    assert of(five, "opening", "prior_days", "closing") == (85, 0, 85)
    assert found(connection) == {}


def test_a_gap_a_day_that_goes_on_and_an_unsettled_midnight_are_refused(connection: Connection) -> None:
    close(connection, 3)
    with pytest.raises(LoyaltyError, match=r"2026-03-05 is not closed, and days close in their order: .*--through"):
        close(connection, 6, first=6)
    with pytest.raises(LoyaltyError, match=r"midnight 2026-03-22 is not settled: `loyalty expire --from 2026-03-22"):
        close(connection, 25)
    with pytest.raises(LoyaltyError, match="is not over"):
        close_days(connection, PROGRAM, first=None, last=date(2999, 1, 1))
    assert [row["day"] for row in booked(connection)] == [day(n) for n in range(4)]


@pytest.mark.parametrize("table", CLOSED)
@pytest.mark.parametrize("change", ["UPDATE loyalty.{} SET day = day", "DELETE FROM loyalty.{}", "TRUNCATE loyalty.{}"])
def test_nobody_changes_a_closed_day(connection: Connection, table: str, change: str) -> None:
    close(connection, 1)
    with pytest.raises(DBAPIError, match="closed days are never changed"), connection.begin():
        connection.execute(text(change.format(table)))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO loyalty.daily_close_ageing VALUES ('2026-03-02', '2026-07-01', 1)", "is closed"),
        ("INSERT INTO loyalty.daily_close_cohort VALUES ('2026-03-01', '2026-07-01', 1, 0, 0, 0, 1)", "is closed"),
        ("INSERT INTO loyalty.daily_close SELECT ('2026-03-09', {}, '', now(), '')", "the next day is 2026-03-03"),
        ("INSERT INTO loyalty.daily_close SELECT ('2026-03-03', 7 + {}, '', now(), '')", "opens with 107"),
        ("INSERT INTO loyalty.daily_close SELECT ('2026-03-03', {}, '', now(), '')", "its lots less the debts are 0"),
    ],
)
def test_the_database_takes_no_day_that_does_not_follow(connection: Connection, statement: str, said: str) -> None:
    close(connection, 1)
    amounts = "100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0.01, 'EUR', 0"
    opened = statement.replace("7 + {}", "107, -7, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0.01, 'EUR', 0").format(amounts)
    with pytest.raises(DBAPIError, match=said), connection.begin():
        connection.execute(text(opened.replace("SELECT (", "VALUES (")))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            "UPDATE loyalty.daily_close SET earned = earned + 1, reversed = reversed + 1 WHERE day = '2026-03-02'",
            "another",
        ),
        ("UPDATE loyalty.daily_close SET closed_at = now() WHERE day = '2026-03-02'", "another fingerprint"),
        (
            "UPDATE loyalty.daily_close_ageing SET points = 99 WHERE day = '2026-03-02'",
            "its lots less the debts are 99",
        ),
        (
            "UPDATE loyalty.daily_close_ageing SET due_month = '2027-01-01' WHERE day = '2026-03-02'",
            "another fingerprint",
        ),
        ("DELETE FROM loyalty.daily_close_cohort WHERE day = '2026-03-04'", "another fingerprint"),
        ("DELETE FROM loyalty.daily_close WHERE day = '2026-03-02'", "follows 2026-03-01"),
    ],
)
def test_what_was_changed_past_the_guards_is_found(connection: Connection, change: str, fault: str) -> None:
    close(connection, 3)
    with connection.begin():
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(change))
    [(name, rows)] = found(connection).items()
    assert name == "9_closed_days_stay"
    assert fault in rows[0]["fault"]


def test_a_counter_that_misses_late_arrivals_stops_the_close(connection: Connection, plant: Planter) -> None:
    close(connection, 3)
    plant.function("loyalty.count_points", ("WHERE e.points IS NOT NULL", "WHERE e.occurred_at >= '2026-03-05'"))
    tell(connection, "points.loyalty", noon(day(1)), 11, who="bob")
    said = (
        r"2026-03-05 .* its counters come to 70 points, its lots to 81.*2026-03-02 earn: counted 0, recorded 11 .*bob"
    )
    with pytest.raises(LoyaltyError, match=said):
        close(connection, 6)
    assert len(booked(connection)) == 4
    assert list(found(connection)) == ["1_counters_are_the_sum"]


def test_two_closes_at_once(connection: Connection, database: Engine) -> None:
    def work(_n: int) -> list[dict[str, Any]]:
        with database.connect() as own:
            return close(own, 10, first=0)

    with ThreadPoolExecutor(3) as pool:
        one, *others = pool.map(work, range(3))
    assert all(other == one for other in others)
    assert len(one) == 11


def test_a_close_that_is_killed_leaves_nothing_and_can_be_done_again(connection: Connection) -> None:
    class KilledError(Exception):
        pass

    def kill(_last: int) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        close_days(connection, PROGRAM, first=None, last=day(3), on_slice=kill)
    assert booked(connection) == []
    assert len(close(connection, 3)) == 4


def test_whatever_is_told_while_days_close_is_booked_exactly_once(connection: Connection, database: Engine) -> None:
    over = Event()

    def tell_on(n: int) -> int:
        told = 0
        with database.connect() as own:
            while not over.is_set():
                with own.begin():
                    who = profile(own, f"c{n}")
                    record(own, who, "points.loyalty", noon(day((told * 7 + n) % 18)), 3)
                    record(own, who, "client.activatePromotion", noon(day((told * 5) % 18)), 1)
                told += 1
        return told

    with ThreadPoolExecutor(3) as pool:
        tellers = [pool.submit(tell_on, n) for n in range(3)]
        for last in range(17):
            close(connection, last)
        over.set()
        told = sum(teller.result() for teller in tellers)
    settle(connection, PROGRAM, day(20))
    close(connection, 20)
    rows = booked(connection)
    assert told > 10
    assert any(row["prior_days"] for row in rows)
    assert all(one["closing"] == two["opening"] for one, two in pairwise(rows))
    with connection.begin():
        held = connection.scalar(text("SELECT sum(balance) FROM loyalty.account"))
        slots = connection.scalars(text("SELECT DISTINCT slot FROM loyalty.points_flow")).all()
    assert rows[-1]["closing"] == held
    assert slots == [0]
    assert found(connection) == {}


def test_a_new_point_value_revalues_what_was_held(connection: Connection) -> None:
    close(connection, 1)
    dearer = program_of(validity={"points.loyalty": 10}, point_value="0.015")
    two, three = close(connection, 3, program=dearer)
    assert of(two, "opening_money", "revalued_money", "redeemed_money", "closing_money") == (
        Decimal("1.00"),
        Decimal("0.500"),
        Decimal("0.450"),
        Decimal("1.050"),
    )
    assert two["opening_money"] + two["revalued_money"] - two["redeemed_money"] == two["closing_money"]
    assert of(three, "opening_money", "revalued_money") == (Decimal("1.050"), Decimal(0))
    [month] = months(booked(connection))
    assert of(month, "opening_money", "revalued_money", "closing_money") == (0, Decimal("0.500"), Decimal("1.050"))


def test_the_provision_of_a_closed_day_keeps_the_value_of_that_day(connection: Connection) -> None:
    close(connection, 1)
    before = {row["line"]: row["amount"] for row in provision(connection, PROGRAM, day(1))}
    dearer = program_of(validity={"points.loyalty": 10}, point_value="0.02")
    after = {row["line"]: row["amount"] for row in provision(connection, dearer, day(1))}
    assert after == before
    assert before["stand_alone_price"] > 0


def test_ageing_and_cohorts_come_to_the_closing(connection: Connection) -> None:
    tell(connection, "points.loyalty", noon(day(3)), 20)
    rows = close(connection, 5)
    held = ageing(connection, day(5), day(5))
    assert [of(row, "due_month", "points") for row in held] == [("2026-03", 90)]
    [cohort] = cohorts(connection)
    assert of(cohort, "earned", "redeemed", "expired", "remaining") == (120, 30, 0, 90)
    assert cohort["redemption_rate"] == Decimal("0.25")
    assert rows[-1]["closing"] == 90


def test_another_zone_has_other_days_and_the_chain_goes_on(connection: Connection) -> None:
    tell(connection, "points.loyalty", datetime.combine(day(4), datetime.min.time(), noon(day(0)).tzinfo), 8)
    close(connection, 3)
    new_york = program_of("America/New_York", {"points.loyalty": 10})
    with connection.begin():
        apply_program(connection, new_york, resettle=True)
    settle(connection, new_york, day(20))
    # Midnight in London is the evening before in New York, which is closed.
    [row] = close(connection, 4, program=new_york)
    assert of(row, "opening", "prior_days", "earned", "closing") == (70, 8, 0, 78)
    assert found(connection) == {}


def test_months_of_the_books_are_those_of_the_rollforward(connection: Connection) -> None:
    tell(connection, "points.loyalty", noon(date(2026, 2, 25)), 9)
    settle(connection, PROGRAM, day(20))
    close(connection, 20)
    with connection.begin():
        rolled = rollforward(connection)
    for row, month in zip(rolled, months(booked(connection)), strict=True):
        assert of(row, "month", "opening", "expired", "closing") == of(month, "month", "opening", "expired", "closing")
        assert row["earned"] == month["earned"] - month["reversed"]
        assert row["redeemed"] == month["redeemed"] - month["returned"]


def test_a_close_needs_no_lock_that_customers_wait_for(connection: Connection, database: Engine) -> None:
    """A purchase that is being booked neither waits for a close nor holds one up, and is booked by the next."""
    with transaction(database) as other:
        record(other, profile(other, "anna"), "points.loyalty", noon(day(1)), 5)
        other.execute(text("SET LOCAL lock_timeout = '5s'"))
        with connection.begin():
            connection.execute(text("SET lock_timeout = '5s'"))
        assert close(connection, 2)[-1]["closing"] == 70
        record(other, profile(other, "anna"), "points.loyalty", noon(day(1)), 5)
    [row] = close(connection, 3)
    assert of(row, "prior_days", "closing") == (10, 80)
