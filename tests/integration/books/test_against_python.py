"""Random histories, told in any order, closed as they go, against books kept in plain Python."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from bookkeeping import Ledger, rows_of
from effort import examples
from ledger import profile, program_of, record, settle, wipe
from loyalty.services.apply_program import apply_program
from loyalty.services.close_days import close_days, state_of_books
from loyalty.services.reconcile import broken, reconcile

LIVES = {"points.loyalty": 40, "points.survey": 12, "points.gift": None}
# Ordinary days; two midnights on one; a midnight that clocks skip; an evening that they show twice.
PLACES = [
    ("UTC", date(2025, 1, 20)),
    ("Europe/Warsaw", date(2025, 10, 1)),
    ("America/Havana", date(2025, 10, 10)),
    ("America/Sao_Paulo", date(2018, 10, 10)),
    ("America/St_Johns", date(2010, 10, 10)),
]
SPENDING = {"spend": "client.activatePromotion", "return": "client.deactivatePromotion", "cancel": "points.cancel"}


@dataclass(frozen=True)
class Fact:
    """Something to record; ``of`` picks what it reverses, restores or corrects."""

    kind: str
    who: int
    day: int
    minutes: int
    points: int
    of: int


FACTS = st.builds(
    Fact,
    kind=st.sampled_from(
        [
            *LIVES,
            "points.loyalty",
            "spend",
            "spend",
            "return",
            "cancel",
            "reverse",
            "restore",
            "up",
            "down",
            "dated",
            "fix",
        ]
    ),
    who=st.integers(0, 1),
    day=st.integers(0, 50),
    minutes=st.sampled_from([0, 1, 30, 90, 720, 1410, 1439]),
    points=st.sampled_from([1, 3, 10, 25]),
    of=st.integers(0, 5),
)
CLOSES = st.integers(0, 60)
HISTORIES = st.lists(st.one_of(FACTS, FACTS, FACTS, CLOSES), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


@examples(8)
@given(place=st.sampled_from(PLACES), history=HISTORIES, debt=st.booleans(), last=st.integers(30, 70))
def test_the_books_are_those_of_plain_python(
    connection: Connection, place: tuple[str, date], history: list[Fact | int], debt: bool, last: int
) -> None:
    told = Teller(connection, *place, debt=debt)
    for step in [*history, last]:
        if isinstance(step, Fact):
            told.tell(step)
        else:
            told.close(step)
    with connection.begin():
        assert broken(reconcile(connection)) == []


@pytest.mark.parametrize("others", [0, 1, 10])
@pytest.mark.parametrize("closes", [(30,), (5, 30), (0, 11, 12, 60)])
def test_a_refund_may_be_dated_before_what_it_takes_back(
    connection: Connection, others: int, closes: tuple[int, ...]
) -> None:
    told = Teller(connection, "UTC", date(2025, 1, 20), debt=False)
    if others:
        told.tell(Fact("points.survey", who=1, day=0, minutes=0, points=others, of=0))
    told.tell(Fact("points.loyalty", who=1, day=12, minutes=0, points=10, of=0))
    told.tell(Fact("reverse", who=1, day=0, minutes=0, points=3, of=1 if others else 0))
    for day in closes:
        told.close(day)
    begun = text("SELECT extract(day FROM earned_at AT TIME ZONE 'UTC') FROM loyalty.lot WHERE points = 7")
    with connection.begin():
        assert connection.scalar(begun) == 1, "the lot is of 1 February, the earning's day"


class Teller:
    """Records what the ledger does not refuse, and holds each close against the books in Python."""

    def __init__(self, connection: Connection, zone: str, start: date, *, debt: bool) -> None:
        self.connection, self.zone, self.start = connection, ZoneInfo(zone), start
        self.program = program_of(zone, LIVES, allow_debt=debt)
        self.known: list[tuple[str, int, UUID]] = []
        self.restored: set[UUID] = set()
        with connection.begin():
            wipe(connection)
            apply_program(connection, self.program)
            self.customers = [profile(connection, f"c{n}") for n in range(2)]

    def tell(self, fact: Fact) -> None:
        local = datetime.combine(self.start + timedelta(days=fact.day), time()) + timedelta(minutes=fact.minutes)
        at = local.replace(tzinfo=self.zone).astimezone(UTC)
        who = self.customers[fact.who]
        if fact.kind in LIVES or fact.kind in SPENDING:
            self._record(fact.kind, who, SPENDING.get(fact.kind, fact.kind), at, fact.points)
        elif fact.kind in ("up", "down"):
            self._record(fact.kind, who, "points.adjust", at, fact.points if fact.kind == "up" else -fact.points)
        elif fact.kind == "dated":
            due = str(self.start + timedelta(days=fact.day + 15))
            self._record("dated", who, "points.adjust", at, fact.points, params={"expires_on": due})
        else:
            self._refer(fact, who, at)

    def _refer(self, fact: Fact, who: int, at: datetime) -> None:
        wanted = {"cancel"} if fact.kind == "restore" else set(LIVES)
        targets = [
            key for kind, whose, key in self.known if kind in wanted and whose == who and key not in self.restored
        ]
        if targets:
            action = {"reverse": "points.reverse", "restore": "points.restore", "fix": "points.adjust"}[fact.kind]
            points = 1 if fact.kind == "restore" else fact.points
            target = targets[fact.of % len(targets)]
            self._record(fact.kind, who, action, at, points, refers_to=target)
            if fact.kind == "restore":  # once
                self.restored.add(target)

    def _record(self, kind: str, who: int, action: str, at: datetime, points: int, **more: Any) -> None:
        try:
            with self.connection.begin():
                self.known.append((kind, who, record(self.connection, who, action, at, points, **more)))
        except DBAPIError as error:
            if not any(said in str(error) for said in ("allows no debt", "more than is left")):
                raise

    def close(self, day: int) -> None:
        last = self.start + timedelta(days=day)
        settle(self.connection, self.program, last)
        with self.connection.begin():
            before = state_of_books(self.connection)
        if before.last_closed and before.last_closed >= last:
            return
        rows = list(close_days(self.connection, self.program, first=None, last=last))
        new = [row for row in rows if before.last_closed is None or row["day"] > before.last_closed]
        with self.connection.begin():
            self._compare(new)

    def _compare(self, rows: list[dict[str, Any]]) -> None:
        books = Ledger(self.connection, self.zone.key, LIVES)
        for row in rows:
            flows = books.flows(row["day"])
            assert {name: row[name] for name in flows} == flows
            assert row["closing"] == books.level(row["day"])
            months, debts = books.ageing(row["day"])
            assert {due: n for _, due, n in rows_of(self.connection, "daily_close_ageing", row["day"])} == months
            assert row["debts"] == debts
        assert all(one["closing"] == two["opening"] and two["prior_days"] == 0 for one, two in pairwise(rows))
        last = rows[-1]["day"]
        found = {month: tuple(row) for _, month, *row in rows_of(self.connection, "daily_close_cohort", last)}
        assert found == books.cohorts(last)
