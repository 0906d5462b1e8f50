"""The shipped definitions: each word of the formulas, and the formulas against what the ledger does night by night."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import IntegrityError

from integration.definitions.rows import PROGRAM, Rows, warsaw
from ledger import balance, expired, profile, program_of, record, settle
from loyalty.compile import compile_segment, compile_values
from loyalty.definitions.balance import balance_catalog
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.store.tables import account

CATALOG = balance_catalog(PROGRAM)
TOTALS = (
    "collected_points", "expired_points", "redeemed_points", "cancelled_points", "adjusted_down", "points_lost",
    "matured_points", "current_balance", "points_to_expire", "points_to_cancel",
)  # fmt: skip


def totals(rows: Rows, as_of: str) -> dict[str, int]:
    [values] = rows.columns(CATALOG, TOTALS, as_of)
    return {name: int(value) for name, value in values.items() if name != "profile_id" and value != 0}


def test_a_new_customer_has_nothing(rows: Rows) -> None:
    rows.customer()
    assert totals(rows, "2026-06-01") == {}


def test_every_kind_of_event_counts_on_its_side(rows: Rows) -> None:
    customer = rows.customer()
    old = rows.event(customer, "points.loyalty", "2025-01-10", 1_000)
    new = rows.event(customer, "points.loyalty", "2026-05-20", 200)
    rows.event(customer, "points.survey", "2026-02-20", 30)
    rows.event(customer, "points.forever", "2020-01-01", 4)
    rows.event(customer, "points.reverse", "2026-05-21", 100, about=old)
    rows.event(customer, "points.reverse", "2026-05-21", 20, about=new)
    rows.event(customer, "client.activatePromotion", "2026-05-22", 300)
    rows.event(customer, "client.deactivatePromotion", "2026-05-23", 50)
    cancel = rows.event(customer, "points.cancel", "2026-05-24", 60)
    rows.event(customer, "points.restore", "2026-05-25", 10, about=cancel)
    expiry = rows.event(customer, "points.expire", "2026-06-01", 40)
    rows.event(customer, "points.restore", "2026-06-01", 5, about=expiry)
    rows.event(customer, "points.adjust", "2026-05-26", -7)
    assert totals(rows, "2026-06-01") == {
        "collected_points": 1_000 + 200 + 30 + 4 - 120,
        "expired_points": 35,
        "redeemed_points": 250,
        "cancelled_points": 50,
        "adjusted_down": 7,
        "points_lost": 342,
        "matured_points": 1_000 + 30 - 100,
        "current_balance": 1_114 - 342,
        "points_to_expire": 930 - 342,
        "points_to_cancel": 772 - 200,
    }
    assert balance(rows.connection, customer) == 772


def test_what_the_customer_lost_already_does_not_expire(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2025-01-10", 100)
    rows.event(customer, "points.loyalty", "2026-04-30", 70)
    rows.event(customer, "client.activatePromotion", "2026-05-22", 120)
    assert totals(rows, "2026-06-01") == {
        "collected_points": 170, "redeemed_points": 120, "points_lost": 120, "matured_points": 100,
        "current_balance": 50, "points_to_cancel": 50,
    }  # fmt: skip


def test_points_are_due_at_the_very_midnight(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2026-01-01", 100)
    rows.event(customer, "points.loyalty", warsaw("2026-01-01") + timedelta(microseconds=1), 7)
    assert totals(rows, "2026-07-01").get("points_to_expire") is None
    assert totals(rows, "2026-07-02")["points_to_expire"] == 100
    assert totals(rows, "2026-07-03")["points_to_expire"] == 107


class TestAdjustments:
    def test_given_points_never_mature_unless_they_carry_a_date(self, rows: Rows) -> None:
        customer = rows.customer()
        rows.event(customer, "points.adjust", "2020-01-01", 50)
        dated = rows.event(customer, "points.adjust", "2026-01-01", 8, expires_on="2026-06-01")
        rows.event(customer, "points.adjust", "2026-01-02", -3, about=dated)
        assert totals(rows, "2026-05-31") == {
            "collected_points": 55, "current_balance": 55, "points_to_cancel": 55,
        }  # fmt: skip
        assert totals(rows, "2026-06-01")["matured_points"] == 5

    def test_a_correction_matures_with_what_it_corrects(self, rows: Rows) -> None:
        customer = rows.customer()
        dated = rows.event(customer, "points.adjust", "2026-01-01", 8, expires_on="2026-06-01")
        undated = rows.event(customer, "points.adjust", "2026-01-01", 8)
        for gift, own_date in ((dated, "2027-01-01"), (undated, "2026-06-01")):
            rows.event(customer, "points.adjust", "2026-01-02", 2, about=gift, expires_on=own_date)
        assert totals(rows, "2026-06-01")["matured_points"] == 10
        lots = rows.connection.execute(text("SELECT due_on, points FROM loyalty.lot ORDER BY due_on")).all()
        assert [tuple(lot) for lot in lots] == [(date(2026, 6, 1), 10), (None, 10)]

    def test_a_correction_counts_on_the_side_of_what_it_corrects(self, rows: Rows) -> None:
        customer = rows.customer()
        charge = rows.event(customer, "transaction.charge", "2025-01-10")
        earned = rows.event(customer, "points.loyalty", "2025-01-10", 100)
        spent = rows.event(customer, "client.activatePromotion", "2026-05-01", 60)
        down = rows.event(customer, "points.adjust", "2026-05-02", -10)
        rows.event(customer, "points.adjust", "2026-05-03", -5, about=earned)
        rows.event(customer, "points.adjust", "2026-05-03", 20, about=spent)
        rows.event(customer, "points.adjust", "2026-05-03", 4, about=down)
        rows.event(customer, "points.adjust", "2026-05-03", 1, about=charge)
        found = totals(rows, "2026-06-01")
        assert (found["collected_points"], found["matured_points"]) == (96, 95)
        assert (found["redeemed_points"], found["adjusted_down"]) == (60, -14)
        assert found["current_balance"] == balance(rows.connection, customer) == 50


class TestSegments:
    def test_the_default_visits_whoever_has_a_midnight_to_settle(self, rows: Rows) -> None:
        due, not_yet, nobody = rows.customer(), rows.customer(), rows.customer()
        rows.event(due, "points.loyalty", "2026-01-01", 100)
        rows.event(not_yet, "points.loyalty", "2026-05-01", 100)
        assert self.members(rows, "points_to_expire", "2026-07-02") == {due}
        assert self.members(rows, "points_to_expire", "2026-07-01") == set()
        assert nobody not in self.members(rows, "points_to_expire", "2030-01-01")

    def test_the_seeds_own_segment_strands_whom_one_night_missed(self, rows: Rows) -> None:
        customer = rows.customer()
        rows.event(customer, "points.loyalty", "2026-01-01T10:00:00", 100)
        assert self.members(rows, "seed_points_to_expire", "2026-07-03") == {customer}
        assert self.members(rows, "seed_points_to_expire", "2026-07-04") == set()
        assert self.members(rows, "points_to_expire", "2026-07-04") == {customer}

    def test_the_seeds_own_segment_asks_each_kind_of_points_with_its_validity(self, rows: Rows) -> None:
        customer, spender = rows.customer(), rows.customer()
        rows.event(customer, "points.survey", "2026-03-01T10:00:00", 100)
        rows.event(spender, "points.survey", "2026-03-01T10:00:00", 100)
        rows.event(spender, "client.activatePromotion", "2026-03-02", 100)
        assert self.members(rows, "seed_points_to_expire", "2026-05-31") == {customer}

    def members(self, rows: Rows, name: str, as_of: str) -> set[int]:
        statement = compile_segment(CATALOG, PROGRAM, CATALOG.segment(name))
        return set(rows.connection.scalars(statement, {"as_of": warsaw(as_of)}))


ZONE = "Europe/Warsaw"
KINDS = {"points.loyalty": 12, "points.survey": 5, "points.forever": None}


class History:
    """Customers to whom things happen in the order of time, each night settled at its midnight."""

    def __init__(self, connection: Connection, program: Program, seed: int) -> None:
        self.connection, self.program, self.random = connection, program, Random(seed)
        self.catalog: Catalog = balance_catalog(program)
        self.earned: dict[int, dict[UUID, int]] = {}
        with connection.begin():
            apply_program(connection, program)
            for number in range(10):
                self.earned[profile(connection, f"customer {number}")] = {}

    def live(self, day: date) -> None:
        start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
        for customer in self.earned:
            for minutes in sorted(self.random.choices([0, 1, 60, 150, 210, 720, 1_379], k=self.random.randint(0, 2))):
                self.happen(customer, start + timedelta(minutes=minutes))

    def happen(self, customer: int, at: datetime) -> None:
        points = self.random.choice([1, 3, 10, 40])
        actions = [*KINDS, "points.loyalty", "client.activatePromotion", "client.activatePromotion"]
        action = self.random.choice([*actions, "client.deactivatePromotion", "points.reverse", "points.adjust"])
        about, params = None, {}
        if action == "points.reverse":
            if not self.earned[customer]:
                return
            about = self.random.choice(list(self.earned[customer]))
            points = min(points, self.earned[customer].pop(about))
        if action == "points.adjust":
            points *= self.random.choice([1, -1])
            params = self.random.choice([{}, {"expires_on": (at + timedelta(days=10)).date().isoformat()}])
        try:
            with self.connection.begin():
                key = record(self.connection, customer, action, at, points, refers_to=about, params=params)
        except IntegrityError:  # The balance would be below zero.
            return
        if action in KINDS:
            self.earned[customer][key] = points

    def values(self, *names: str, as_of: date) -> dict[int, tuple[int, ...]]:
        statement = compile_values(
            self.catalog,
            self.program,
            [self.catalog.value(name) for name in names],
            profiles=select(account.c.profile_id),
        )
        midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=ZoneInfo(ZONE))
        with self.connection.begin():
            rows = self.connection.execute(statement, {"as_of": midnight}).all()
        return {row[0]: tuple(int(value) for value in row[1:]) for row in rows}


@pytest.mark.parametrize("seed", range(2))
def test_on_a_night_after_settled_nights_the_formula_is_what_expires(database: Engine, seed: int) -> None:
    """What corrects the past changes nights already settled, and has no place here."""
    start = date(2026, 3, 10)
    with database.connect() as connection:
        history = History(connection, program_of(ZONE, KINDS), seed)
        taken = 0
        for night in (start + timedelta(days=days) for days in range(30)):
            formula = history.values("points_to_expire", as_of=night)
            settle(connection, history.program, night)
            with connection.begin():
                net = expired(connection)
                balances = {customer: balance(connection, customer) for customer in history.earned}
            for customer, (points,) in formula.items():
                assert net.get((customer, night), 0) == points, (night, customer)
                taken += points
            after = history.values("current_balance", "points_to_expire", as_of=night)
            assert after == {customer: (points, 0) for customer, points in balances.items()}
            history.live(night)
        assert taken > 300
