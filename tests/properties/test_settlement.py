"""Random histories, told in any order and settled by any runs, against an oracle that shares nothing with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

import oracle
from effort import examples
from ledger import expired, profile, program_of, record, settle, wipe
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile

KINDS = {"points.loyalty": 20, "points.survey": 5, "points.gift": None}
# Zones whose clocks change at midnight, past it, by half an hour, or by a whole day, beside two ordinary ones.
ZONES = (
    "UTC",
    "Europe/Warsaw",
    "America/Havana",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Pacific/Apia",
    "Australia/Lord_Howe",
)
STARTS = [
    date(2010, 3, 1),
    date(2011, 12, 10),
    date(2013, 10, 1),
    date(2014, 4, 10),
    date(2014, 9, 20),
    date(2010, 10, 20),
]


@dataclass(frozen=True)
class Fact:
    """Something to record: ``of`` picks the earning that a reversal is about; ``fold``: as clocks show it once more."""

    kind: str
    day: int
    minutes: int
    points: int
    of: int = 0
    fold: int = 0


FACTS = st.builds(
    Fact,
    kind=st.sampled_from([*KINDS, "points.loyalty", "spend", "spend", "return", "reverse"]),
    day=st.integers(0, 40),
    minutes=st.sampled_from([0, 0, 0, 1, 30, 60, 90, 720, 1410, 1439]),
    points=st.sampled_from([1, 2, 5, 10, 100]),
    of=st.integers(0, 5),
    fold=st.integers(0, 1),
)
RUNS = st.integers(0, 45)
HISTORIES = st.lists(st.one_of(FACTS, FACTS, RUNS), min_size=1, max_size=25)


@pytest.fixture(scope="module")
def ledger_connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


@examples(50)
@given(zone=st.sampled_from(ZONES), start=st.sampled_from(STARTS), history=HISTORIES, last_run=st.integers(20, 60))
# At the midnight of a day that clocks skip, and of the next one, both at once.
@example(zone="Pacific/Apia", start=date(2011, 12, 10), history=[Fact("return", 19, 0, 1)], last_run=20)
@example(zone="Pacific/Apia", start=date(2011, 12, 10), history=[Fact("points.loyalty", 0, 0, 1)], last_run=20)
def test_the_ledger_settles_as_the_oracle_does(
    ledger_connection: Connection, zone: str, start: date, history: list[Fact | int], last_run: int
) -> None:
    told = Teller(ledger_connection, zone, start)
    for step in [*history, last_run, max([last_run, *(step for step in history if isinstance(step, int))])]:
        if isinstance(step, Fact):
            told.tell(step)
        else:
            told.settle(step)
    with ledger_connection.begin():
        assert {night: points for (_, night), points in expired(ledger_connection).items()} == told.expected()
        assert broken(reconcile(ledger_connection)) == []


def test_an_evening_that_clocks_show_twice_comes_after_its_midnight(ledger_connection: Connection) -> None:
    program = program_of("America/St_Johns", {"points.loyalty": 10})
    evening = datetime(2010, 11, 7, 3, tzinfo=UTC)
    with ledger_connection.begin():
        wipe(ledger_connection)
        apply_program(ledger_connection, program)
        customer = profile(ledger_connection, "the customer")
        record(ledger_connection, customer, "points.loyalty", datetime(2010, 10, 27, 10, tzinfo=UTC), 100)
        record(ledger_connection, customer, "points.loyalty", evening, 50)
        record(ledger_connection, customer, "client.activatePromotion", evening, 60)
    settle(ledger_connection, program, date(2010, 11, 10))
    with ledger_connection.begin():
        assert {night: points for (_, night), points in expired(ledger_connection).items()} == {date(2010, 11, 7): 90}


class Teller:
    """Records facts of one customer, those that the ledger refuses left out, and remembers them for the oracle."""

    def __init__(self, connection: Connection, zone: str, start: date) -> None:
        self.connection, self.zone, self.start = connection, ZoneInfo(zone), start
        self.program = program_of(zone, KINDS)
        self.entries: list[oracle.Entry] = []
        self.earned: list[tuple[UUID, Fact, datetime]] = []
        self.left: dict[UUID, int] = {}
        self.horizon = start
        with connection.begin():
            wipe(connection)
            apply_program(connection, self.program)
            self.profile_id = profile(connection, "the customer")

    def settle(self, day: int) -> None:
        on = self.start + timedelta(days=day)
        settle(self.connection, self.program, on)
        # The midnight of a day that clocks skip is that of the next one.
        self.horizon = max(self.horizon, oracle.midnight(on, self.zone).astimezone(self.zone).date())

    def expected(self) -> dict[date, int]:
        return oracle.settle(self.entries, self.horizon, self.zone)

    def tell(self, fact: Fact) -> None:
        local = datetime.combine(self.start + timedelta(days=fact.day), time()) + timedelta(minutes=fact.minutes)
        at = local.replace(tzinfo=self.zone, fold=fact.fold).astimezone(UTC)
        if fact.kind == "spend":
            self._record("client.activatePromotion", at, fact.points, oracle.Entry(at, "used", fact.points))
        elif fact.kind == "return":
            self._record("client.deactivatePromotion", at, fact.points, oracle.Entry(at, "used", -fact.points))
        elif fact.kind == "reverse":
            self._reverse(fact, at)
        else:
            entry = oracle.Entry(at, "collected", fact.points, KINDS[fact.kind])
            key = self._record(fact.kind, at, fact.points, entry)
            if key:
                self.earned.append((key, fact, at))
                self.left[key] = fact.points

    def _reverse(self, fact: Fact, at: datetime) -> None:
        if self.earned:
            key, earning, earned_at = self.earned[fact.of % len(self.earned)]
            points = min(fact.points, self.left[key])
            # Nothing is taken from an earning before there is one, whatever the refund's own date.
            entry = oracle.Entry(max(at, earned_at), "collected", -points, KINDS[earning.kind], earned_at)
            if self._record("points.reverse", at, points, entry, refers_to=key):
                self.left[key] -= points

    def _record(
        self, action: str, at: datetime, points: int, entry: oracle.Entry, refers_to: UUID | None = None
    ) -> UUID | None:
        try:
            with self.connection.begin():
                key = record(self.connection, self.profile_id, action, at, points, refers_to=refers_to)
        except DBAPIError as error:
            if "allows no debt" not in str(error):
                raise
            return None
        self.entries.append(entry)
        return key
