"""A refund brings an account to where it would be without the points, whatever has been settled before."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

import oracle
from effort import examples
from ledger import balance, expired
from loyalty.services.award_points import Awarded
from loyalty.services.reconcile import broken, reconcile
from shop import NOON, PURCHASE, Shop, with_rules


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


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


def test_an_event_that_no_rule_reads_absorbs_no_refund(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("order.placed", orderID="A", totalAmount=100)
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    shop.happens("transaction.charge", orderID="A", totalAmount=-20)
    shop.award()
    shop.happens("transaction.refund", day=1, orderID="A", totalAmount=60)
    assert shop.award().reversed == 60
    assert shop.balance == 40


def test_a_refund_of_an_amount_that_is_no_number_is_counted(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    shop.happens("transaction.refund", orderID="A", totalAmount="all of it")
    awarded = shop.award()
    assert (awarded.unreadable, awarded.reversed) == (1, 0)
    assert shop.award().unreadable == 0


def test_a_refund_takes_no_more_than_a_correction_has_left(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    shop.award()
    award = connection.scalar(text("SELECT key FROM loyalty.event WHERE action = 'points.loyalty'"))
    connection.rollback()
    shop.happens("points.gift", points=500)
    shop.happens("points.adjust", day=1, points=-80, refers_to=award)
    shop.happens("transaction.refund", day=2, orderID="A")
    awarded = shop.award()
    assert (awarded.reversed, awarded.not_taken) == (20, 80)
    assert shop.balance == 500


def test_a_correction_takes_no_more_than_a_refund_has_left(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=100)
    shop.happens("transaction.refund", day=1, orderID="A", totalAmount=70)
    shop.award()
    shop.happens("points.gift", points=500)
    award = connection.scalar(text("SELECT key FROM loyalty.event WHERE action = 'points.loyalty'"))
    connection.rollback()
    with pytest.raises(DBAPIError, match="takes 50 more than is left of what it corrects"):
        shop.happens("points.adjust", day=2, points=-80, refers_to=award)
    shop.happens("points.adjust", day=2, points=-30, refers_to=award)
    assert shop.balance == 500


def test_a_correction_of_what_was_spent_is_no_matter_of_lots(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("points.gift", points=500)
    shop.happens("client.activatePromotion", day=1, points=50)
    spent = connection.scalar(text("SELECT key FROM loyalty.event WHERE action = 'client.activatePromotion'"))
    connection.rollback()
    shop.happens("points.adjust", day=2, points=-80, refers_to=spent)
    assert shop.balance == 500 - 50 - 80


# What is left of an award --------------------------------------------------------------------------------------------

PAIRS = [(3, 2), (30, 20), (9, 8), (7, 6), (99, 98)]
KEPT = text(
    "SELECT loyalty.points_kept(jsonb_build_object("
    "'points', CAST(:points AS bigint), 'amount', CAST(:paid AS numeric), "
    "'points_per_unit', CAST(:rate AS numeric)), CAST(:kept AS numeric), CAST(:paid AS numeric))"
)


@pytest.mark.parametrize(("paid", "refunded"), PAIRS)
def test_a_part_refunded_costs_no_point_of_the_rest(connection: Connection, paid: int, refunded: int) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=paid)
    shop.happens("transaction.refund", day=1, orderID="A", totalAmount=refunded)
    shop.award()
    assert shop.balance == paid - refunded


def test_what_is_kept_of_an_award_is_exact(connection: Connection) -> None:
    chance = random.Random(7)
    for _ in range(300):
        paid, rate = Fraction(chance.randint(1, 10**6), 100), Fraction(chance.randint(1, 500), 100)
        kept = (
            paid * Fraction(chance.randint(0, 6), 6) if chance.random() < 0.5 else Fraction(chance.randint(0, 99), 100)
        )
        kept = min(paid, Fraction(round(kept * 100), 100))
        values = {"paid": str(float(paid)), "rate": str(float(rate)), "kept": str(float(kept))}
        points = connection.scalar(KEPT, values | {"points": paid * rate // 1})
        assert points == paid * rate * kept / paid // 1, (paid, rate, kept)


# Refunds and expiry --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["award, expire", "expire, award, expire"])
@pytest.mark.parametrize(("refunded", "left", "lapsed"), [(20, 10, 50), (5, 10, 0)])
def test_a_refund_finds_the_midnights_before_it_passed(
    connection: Connection, order: str, refunded: int, left: int, lapsed: int
) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", orderID="A", totalAmount=50)
    shop.happens("points.gift", points=10)
    shop.award()
    shop.happens("transaction.refund", day=refunded, orderID="A")
    run_in(order, shop, 30)
    assert shop.balance == left
    with connection.begin():
        assert sum(expired(connection).values()) == lapsed


def run_in(order: str, shop: Shop, day: int) -> None:
    for step in order.split(", "):
        shop.award() if step == "award" else shop.settle(day)


KINDS = st.sampled_from(["buy", "buy", "spend", "gift", "refund"])
HAPPENED = st.lists(st.tuples(KINDS, st.integers(1, 60), st.integers(0, 4), st.integers(1, 4)), max_size=8)


@examples(10)
@given(before=HAPPENED, outage=HAPPENED, later=st.integers(0, 12))
def test_the_order_of_awards_and_expiry_makes_no_difference(
    connection: Connection,
    before: list[tuple[str, int, int, int]],
    outage: list[tuple[str, int, int, int]],
    later: int,
) -> None:
    """Days with a run each, then days without any; what comes of all that does not depend on what runs first."""
    found = []
    for order in ("award, expire", "expire, award, expire"):
        shop = Shop(connection, with_rules(PURCHASE))
        bought, day = 0, 0
        for n, (kind, amount, gap, part) in enumerate([*before, *outage]):
            day += gap
            bought = happens(shop, kind, amount, day, bought, part)
            if n < len(before):
                run_in("award, expire", shop, day)
        run_in(order, shop, day + later)
        with connection.begin():
            assert broken(reconcile(connection)) == []
            nights = {night: points for (_, night), points in expired(connection).items()}
            found.append((balance(connection, shop.customer), nights))
    assert found[0] == found[1]


def happens(shop: Shop, kind: str, amount: int, day: int, bought: int, part: int) -> int:
    """One thing happens; returns how many purchases there are."""
    if kind == "buy":
        shop.happens("transaction.charge", day=day, orderID=str(bought), totalAmount=amount)
        return bought + 1
    if kind == "gift":
        shop.happens("points.gift", day=day, points=amount)
    elif kind == "refund" and bought:
        shop.happens("transaction.refund", day=day, orderID=str(amount % bought), totalAmount=amount / part)
    elif kind == "spend":
        with shop.connection.begin():
            there = balance(shop.connection, shop.customer)
        if there:
            shop.happens("client.activatePromotion", day=day, points=min(amount, there))
    return bought


STEPS = st.lists(
    st.tuples(st.sampled_from(["buy", "buy", "spend", "settle"]), st.integers(1, 60)), min_size=1, max_size=12
)


@examples(10)
@given(steps=STEPS, every=st.integers(1, 3), returned=st.integers(0, 11))
def test_any_refund_agrees_with_the_oracle(
    connection: Connection, steps: list[tuple[str, int]], every: int, returned: int
) -> None:
    """Events come in the order of time; then one purchase is refunded in full, and its day is settled."""
    shop = Shop(connection, with_rules(PURCHASE))
    bought: list[tuple[int, int]] = []
    spent: list[oracle.Entry] = []
    for day, (kind, amount) in enumerate(steps):
        at = NOON + timedelta(days=day * every)
        if kind == "buy":
            shop.happens("transaction.charge", day=day * every, totalAmount=amount, orderID=str(day))
            shop.award()
            bought.append((day, amount))
        elif kind == "spend" and (some := min(amount, shop.balance)):
            shop.happens("client.activatePromotion", day=day * every, points=some)
            spent.append(oracle.Entry(at, "used", some))
        elif kind == "settle":
            shop.settle(day * every)
    if not bought:
        return
    today = len(steps) * every
    earned = [oracle.Entry(NOON + timedelta(days=d * every), "collected", a, 10) for d, a in bought]
    before = left([*earned, *spent], NOON.date() + timedelta(days=today))
    refunded = earned.pop(returned % len(bought))
    without = left([*earned, *spent], NOON.date() + timedelta(days=today))
    shop.happens("transaction.refund", day=today, orderID=str(bought[returned % len(bought)][0]))
    shop.award()
    shop.settle(today)
    assert shop.balance == max(0, without, before - refunded.points)
    shop.settle(today + 30)
    with connection.begin():
        assert broken(reconcile(connection)) == []
        assert sum(expired(connection).values()) >= 0


def left(entries: list[oracle.Entry], today: date) -> int:
    """What an account with these entries has once the day is settled."""
    lapsed = sum(oracle.settle(entries, today, ZoneInfo("UTC")).values())
    return sum(e.points if e.side == "collected" else -e.points for e in entries) - lapsed
