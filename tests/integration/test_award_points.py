"""Earning rules turn events into points exactly once; a refund brings an account to where it would be without them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

import oracle
from ledger import balance, expired, profile, program_of, record, settle, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import Awarded, award_points
from loyalty.services.reconcile import broken, reconcile

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PURCHASE = {"name": "purchase", "action": "transaction.charge", "earns": "points.loyalty", "points_per_unit": "1"}


def with_rules(*rules: dict[str, Any], **others: Any) -> Program:
    return program_of(validity={"points.loyalty": 10, "points.gift": None}, earning_rules=list(rules), **others)


class Shop:
    """One customer of a fresh ledger under a program."""

    def __init__(self, connection: Connection, program: Program) -> None:
        self.connection, self.program = connection, program
        with connection.begin():
            wipe(connection)
            apply_program(connection, program)
            self.customer = profile(connection, "the customer")

    def happens(self, action: str, day: float = 0, points: int | None = None, **params: Any) -> None:
        named = {"$" + name if name in ("totalAmount", "orderID") else name: value for name, value in params.items()}
        with self.connection.begin():
            record(self.connection, self.customer, action, NOON + timedelta(days=day), points, params=named)

    def award(self) -> Awarded:
        return award_points(self.connection, self.program)

    def settle(self, day: int) -> None:
        settle(self.connection, self.program, NOON.date() + timedelta(days=day))

    @property
    def balance(self) -> int:
        with self.connection.begin():
            assert broken(reconcile(self.connection)) == []
            return balance(self.connection, self.customer)


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


def test_a_purchase_earns_whole_units_once(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", totalAmount="11.77")
    shop.happens("transaction.charge", totalAmount=0.99)
    assert shop.award().points == 11
    assert shop.award() == Awarded()
    assert shop.balance == 11


def test_a_late_purchase_earns_too(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", day=5, totalAmount=10)
    shop.award()
    shop.happens("transaction.charge", day=1, totalAmount=7)
    assert shop.award().award_count == 1
    assert shop.balance == 17


def test_fractions_are_exact_and_rounded_down(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE | {"points_per_unit": "0.1"}))
    shop.happens("transaction.charge", totalAmount="29.99")
    shop.happens("transaction.charge", totalAmount="30.00")
    shop.award()
    assert shop.balance == 2 + 3


def test_rules_read_their_own_events_only(connection: Connection) -> None:
    app = {"name": "survey", "action": "survey.completed", "earns": "points.gift", "points_per_event": 50}
    app |= {"where": [{"parameter": "channel", "is": "equal", "value": "app"}]}
    app |= {"valid_from": "2026-01-02", "valid_to": "2026-01-03"}
    shop = Shop(connection, with_rules(PURCHASE, app))
    for day, channel in ((0, "app"), (1, "app"), (2, "app"), (2, "web"), (3, "app")):
        shop.happens("survey.completed", day=day, channel=channel)
    shop.award()
    assert shop.balance == 100


def test_an_amount_that_is_no_number_earns_nothing_and_is_counted(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", totalAmount="twelve")
    shop.happens("transaction.charge", totalAmount="12")
    awarded = shop.award()
    assert (awarded.unreadable, awarded.points) == (1, 12)


def test_a_rule_that_comes_later_finds_the_events_of_before(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("survey.completed")
    shop.happens("transaction.charge", totalAmount=5)
    shop.award()
    survey = {"name": "survey", "action": "survey.completed", "earns": "points.gift", "points_per_event": 50}
    shop.program = with_rules(PURCHASE, survey)
    with connection.begin():
        apply_program(connection, shop.program)
    assert shop.award().points == 50
    assert shop.balance == 55


def test_two_at_once_award_once(module_database: Engine, connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE, batch_size=3))
    with connection.begin():
        for n in range(20):
            record(connection, profile(connection, f"c{n}"), "transaction.charge", NOON, params={"$totalAmount": 10})

    def award() -> None:
        with module_database.connect() as another:
            award_points(another, shop.program)

    threads = [Thread(target=award) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connection.scalar(text("SELECT sum(balance) FROM loyalty.account")) == 200


REFUNDS = {
    "whole, nothing spent": ([("refund", 1, {"totalAmount": 100})], 0),
    "whole, without an amount": ([("refund", 1, {})], 0),
    "a part": ([("refund", 1, {"totalAmount": "30.50"})], 69),
    "in two parts": ([("refund", 1, {"totalAmount": "30.50"}), ("refund", 2, {"totalAmount": "69.50"})], 0),
    "more than was paid": ([("refund", 1, {"totalAmount": 500})], 0),
    "after a part was spent": ([("spend", 1, 60), ("refund", 2, {"totalAmount": 100})], 0),
    "after it expired": ([("buy", 5, 40), ("settle", 11, None), ("refund", 12, {"totalAmount": 100})], 40),
    "after a part was spent and the rest expired": (
        [("spend", 1, 60), ("buy", 5, 50), ("settle", 11, None), ("refund", 12, {"totalAmount": 100})],
        0,
    ),
    "while another purchase pays for what was spent": (
        [("buy", 1, 100), ("spend", 2, 60), ("refund", 3, {"totalAmount": 100})],
        40,
    ),
}


@pytest.mark.parametrize("case", REFUNDS)
def test_a_refund_brings_the_account_to_where_it_would_be(connection: Connection, case: str) -> None:
    steps, left = REFUNDS[case]
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", totalAmount=100, orderID="A")
    shop.award()
    for kind, day, what in steps:
        if kind == "refund":
            shop.happens("transaction.refund", day=day, orderID="A", **what)
            shop.award()
        elif kind == "buy":
            shop.happens("transaction.charge", day=day, totalAmount=what)
            shop.award()
        elif kind == "spend":
            shop.happens("client.activatePromotion", day=day, points=what)
        else:
            shop.settle(day)
    assert shop.award() == Awarded()
    assert shop.balance == left


def test_a_refund_that_comes_before_its_purchase_waits_for_it(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.refund", day=2, orderID="A", totalAmount=40)
    shop.award()
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    awarded = shop.award()
    assert (awarded.points, awarded.reversed) == (100, 40)
    assert shop.balance == 60


def test_what_could_not_be_taken_is_said_and_is_no_debt(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    shop.award()
    shop.happens("client.activatePromotion", day=1, points=70)
    shop.happens("transaction.refund", day=2, orderID="A", totalAmount=100)
    awarded = shop.award()
    assert (awarded.reversed, awarded.not_taken) == (30, 70)
    shop.happens("transaction.charge", day=3, totalAmount=25)
    shop.award()
    assert shop.balance == 25


STEPS = st.lists(
    st.tuples(st.sampled_from(["buy", "buy", "spend", "settle"]), st.integers(1, 60)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, returned=st.integers(0, 11))
def test_any_refund_agrees_with_the_oracle(connection: Connection, steps: list[tuple[str, int]], returned: int) -> None:
    """Events come in the order of time; then one purchase is refunded in full."""
    shop = Shop(connection, with_rules(PURCHASE))
    bought: list[tuple[int, int]] = []
    entries: list[oracle.Entry] = []
    horizon = date(1, 1, 1)
    for day, (kind, amount) in enumerate(steps):
        at = NOON + timedelta(days=day)
        if kind == "buy":
            shop.happens("transaction.charge", day=day, totalAmount=amount, orderID=str(day))
            shop.award()
            bought.append((day, amount))
        elif kind == "spend" and (spent := min(amount, shop.balance)):
            shop.happens("client.activatePromotion", day=day, points=spent)
            entries.append(oracle.Entry(at, "used", spent))
        elif kind == "settle":
            shop.settle(day)
            horizon = at.date()
    if not bought:
        return
    before = shop.balance
    day, amount = bought.pop(returned % len(bought))
    entries += [oracle.Entry(NOON + timedelta(days=d), "collected", a, 10) for d, a in bought]
    lapsed = sum(oracle.settle(entries, horizon, ZoneInfo("UTC")).values())
    without = sum(e.points if e.side == "collected" else -e.points for e in entries) - lapsed
    shop.happens("transaction.refund", day=len(steps), orderID=str(day))
    shop.award()
    assert shop.balance == max(0, without, before - amount)
    shop.settle(len(steps) + 30)
    with connection.begin():
        assert broken(reconcile(connection)) == []
        assert sum(expired(connection).values()) >= 0
