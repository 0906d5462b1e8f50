"""For one validity, the ledger equals lot by lot booking, first in, first out, by beancount: day by day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from beancount import loader
from beancount.core import realization
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from effort import examples
from ledger import expired, profile, program_of, record, settle, wipe
from loyalty.services.apply_program import apply_program

START, LIVES = date(2026, 1, 1), 10
PROGRAM = program_of(validity={"points.loyalty": LIVES})
OPEN = '2020-01-01 open Assets:Points PTS "FIFO"\n2020-01-01 open Equity:Program\n'
DAY = st.tuples(st.integers(1, 8), st.integers(0, 50), st.integers(0, 80))


class Lots:
    """The same history booked lot by lot; a lot's date is the day on which it expires."""

    def __init__(self) -> None:
        self.text = OPEN
        self.expired: dict[date, int] = {}

    def held(self) -> dict[date, int]:
        entries, errors, _ = loader.load_string(self.text)
        assert errors == []
        account = realization.get(realization.realize(entries), "Assets:Points")
        positions = realization.compute_balance(account) if account is not None else ()
        return {position.cost.date: int(position.units.number) for position in positions}

    def earn(self, day: date, points: int) -> None:
        due = day + timedelta(days=LIVES + 1)  # earned at noon: the first midnight after noon of the last day
        self._book(day, f"{points} PTS {{1 EUR, {due}}}")

    def spend(self, day: date, points: int) -> None:
        self._book(day, f"-{points} PTS {{}}")

    def expire(self, day: date) -> None:
        points = self.held().get(day, 0)
        if points:
            self._book(day, f"-{points} PTS {{{day}}}")
            self.expired[day] = points

    def _book(self, day: date, posting: str) -> None:
        self.text += f'{day} * "x"\n  Assets:Points  {posting}\n  Equity:Program\n'


@pytest.fixture(scope="module")
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


@examples(10)
@given(history=st.lists(DAY, min_size=1, max_size=8))
def test_the_ledger_books_as_lots_do(connection: Connection, history: list[tuple[int, int, int]]) -> None:
    lots, day = Lots(), START
    with connection.begin():
        wipe(connection)
        apply_program(connection, PROGRAM)
        customer = profile(connection, "the customer")
    for gap, earned, wanted in history:
        for night in nights(day, day + timedelta(days=gap)):
            lots.expire(night)
            settle(connection, PROGRAM, night)
        day += timedelta(days=gap)
        noon = datetime.combine(day, time(12), UTC)
        with connection.begin():
            if earned:
                lots.earn(day, earned)
                record(connection, customer, "points.loyalty", noon, earned)
            if spent := min(wanted, sum(lots.held().values())):
                lots.spend(day, spent)
                record(connection, customer, "client.activatePromotion", noon + timedelta(hours=1), spent)
    for night in nights(day, day + timedelta(days=LIVES + 2)):
        lots.expire(night)
    settle(connection, PROGRAM, day + timedelta(days=LIVES + 2))
    with connection.begin():
        assert {night: points for (_, night), points in expired(connection).items()} == lots.expired


def nights(after: date, up_to: date) -> list[date]:
    return [after + timedelta(days=n) for n in range(1, (up_to - after).days + 1)]
