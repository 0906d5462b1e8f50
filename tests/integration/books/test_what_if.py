"""The books under another validity are those of a ledger in which it ruled from the start; and nothing stays."""

import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from bookkeeping import noon
from ledger import profile, program_of, record, settle, wipe
from loyalty.errors import LoyaltyError
from loyalty.services.apply_program import apply_program
from loyalty.services.look import rollforward
from loyalty.services.what_if import what_if
from loyalty.store.database import transaction

START, LAST = date(2026, 1, 5), date(2026, 6, 30)
KINDS = {"points.loyalty": 40, "points.survey": 15}


@pytest.fixture(scope="module")
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


def live(connection: Connection, validity: dict[str, int | None]) -> None:
    """Twelve customers earn and now and then spend what is left even with the shorter validity; all is settled."""
    chance, program = random.Random(7), program_of(validity=validity)
    with connection.begin():
        wipe(connection)
        apply_program(connection, program)
        for n in range(12):
            who = profile(connection, f"c{n}")
            for _ in range(8):
                day = START + timedelta(days=chance.randrange(110))
                record(connection, who, chance.choice(list(KINDS)), noon(day), chance.randrange(10, 60))
                record(
                    connection, who, "client.activatePromotion", noon(day + timedelta(days=2)), chance.randrange(1, 10)
                )
    settle(connection, program, LAST)


def recorded(connection: Connection) -> list[tuple[str, int, int]]:
    with connection.begin():
        return [(row["month"], row["expired"], row["closing"]) for row in rollforward(connection)]


def test_the_recorded_validity_gives_the_record(connection: Connection) -> None:
    live(connection, KINDS)
    rows = what_if(connection, program_of(validity=KINDS), KINDS)
    assert [(row["month"], row["expired"], row["closing"]) for row in rows] == recorded(connection)
    assert [(row["month"], row["expired_then"], row["closing_then"]) for row in rows] == recorded(connection)
    assert {row["difference"] for row in rows} == {0}


@pytest.mark.parametrize("other", [{"points.loyalty": 75}, {"points.loyalty": None}, {"points.survey": 33}])
def test_another_validity_gives_the_record_of_a_ledger_where_it_ruled(
    connection: Connection, other: dict[str, int | None]
) -> None:
    live(connection, KINDS)
    rows = what_if(connection, program_of(validity=KINDS), other)
    live(connection, KINDS | other)
    then = {row["month"]: (row["expired_then"], row["closing_then"]) for row in rows}
    found = {month: (expired, closing) for month, expired, closing in recorded(connection)}
    assert {month: then[month] for month in found} == found
    assert then != {row["month"]: (row["expired"], row["closing"]) for row in rows}


def test_nothing_stays_and_no_purchase_waits(connection: Connection, module_database: Engine) -> None:
    live(connection, KINDS)
    before = recorded(connection)
    with transaction(module_database) as shop:
        shop.execute(text("SET LOCAL lock_timeout = '5s'"))
        record(shop, profile(shop, "c1"), "points.loyalty", noon(LAST), 0)
        what_if(connection, program_of(validity=KINDS), {"points.loyalty": 3})
        record(shop, profile(shop, "c2"), "points.loyalty", noon(LAST), 0)
    assert recorded(connection) == before
    with connection.begin():
        days = connection.scalar(text("SELECT validity_days FROM loyalty.action WHERE action = 'points.loyalty'"))
    assert days == 40


def test_an_unknown_kind_of_points_is_refused(connection: Connection) -> None:
    with pytest.raises(LoyaltyError, match=r"did you mean 'points.survey'"):
        what_if(connection, program_of(validity=KINDS), {"points.survy": 3})
