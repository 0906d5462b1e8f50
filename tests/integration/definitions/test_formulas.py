"""Every part of a formula with hand-computed values, null in each place."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from integration.definitions.rows import PROGRAM, Rows, warsaw
from loyalty.compile import compile_expression, compile_values
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog
from loyalty.model.expressions import (
    Expression,
    attribute,
    elapsed,
    first_known,
    highest,
    lowest,
    now,
    rounded,
    rounded_down,
    rounded_up,
    size_of,
    when,
)
from loyalty.model.formulas import Constant, Part
from loyalty.model.phrases import in_words
from loyalty.store.tables import profile

AS_OF = "2026-06-01"
NULL, ZERO, TWO, FIVE = attribute("nothing"), attribute("zero"), attribute("two"), attribute("five")
MINUS = attribute("minus")
NO_TEXT, CITY = attribute("nothing", "text"), attribute("city", "text")
NO_TRUTH, VIP = attribute("nothing", "boolean"), attribute("vip", "boolean")
JOINED, NO_TIME = attribute("joined", "time"), attribute("nothing", "time")
ATTRIBUTES = {
    "zero": 0, "two": "2", "five": 5, "minus": -2.5, "city": "Łódź", "vip": "true",
    "joined": "2026-05-30T12:00:00", "spring": "2026-03-28T12:00:00",
}  # fmt: skip
PLAIN = Constant(value=7)
EARNED = Aggregate(name="earned", function="sum", actions="points.loyalty", parameter="points")


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (FIVE + TWO, 7), (FIVE - TWO, 3), (FIVE * TWO, 10), (FIVE / TWO, Decimal("2.5")), (1 - FIVE, -4),
        (PLAIN / 2, Decimal("3.5")), (FIVE + NULL, None), (NULL * 0, None), (FIVE / ZERO, None), (ZERO / ZERO, None),
        (FIVE / NULL, None), (1 / Constant(value=3) * 3, Decimal("0.99999999999999999999")),
        (PLAIN + 0.1 + 0.2, Decimal("7.3")),
        (FIVE > TWO, True), (FIVE < TWO, False), (FIVE >= 5, True), (FIVE <= 4, False), (FIVE.equals(5), True),
        (FIVE.differs(5), False), (FIVE > NULL, False), (NULL < 1, False), (NULL.equals(NULL), False),
        (NULL.differs(1), False), (~(NULL > 1), True),
        (CITY.equals("Łódź"), True), (CITY.differs("Łódź"), False), (NO_TEXT.equals("Łódź"), False),
        (now() > JOINED, True), (datetime(2026, 5, 30, 10, tzinfo=UTC) < JOINED, False), (now() > NO_TIME, False),
        ((FIVE > 1) & (TWO > 1), True), ((FIVE > 1) & (TWO > 5), False), ((FIVE > 9) | (TWO > 1), True),
        (VIP & (FIVE > 1), True), (NO_TRUTH | (FIVE > 9), False), (~NO_TRUTH, True), (~VIP, False),
        (VIP.equals(True), True), (NO_TRUTH, None),
        (when(FIVE > TWO, 1, otherwise=2), 1), (when(FIVE > NULL, 1, otherwise=2), 2),
        (when(NO_TRUTH, 1, otherwise=2), 2),
        (when(VIP, NULL, otherwise=2), None), (when(VIP, "a", otherwise="b"), "a"),
        (lowest(FIVE, TWO, 9), 2), (highest(FIVE, TWO, 9), 9), (lowest(FIVE, NULL), None), (highest(0, NULL), None),
        (highest(JOINED, now()), warsaw(AS_OF)), (lowest(4), 4),
        (size_of(MINUS), Decimal("2.5")), (size_of(NULL), None),
        (rounded(MINUS), -3), (rounded(FIVE / TWO), 3), (rounded(FIVE / 3, 2), Decimal("1.67")),
        (rounded_down(MINUS), -3), (rounded_up(MINUS), -2), (rounded_down(FIVE / 3, 2), Decimal("1.66")),
        (rounded_up(FIVE / 3, 2), Decimal("1.67")), (rounded(NULL), None),
        (first_known(NULL, FIVE), 5), (first_known(NULL, NULL), None), (first_known(NO_TEXT, "none"), "none"),
        (first_known(FIVE / ZERO, 0), 0),
        (now(), warsaw(AS_OF)), (elapsed(JOINED), Decimal("1.5")), (elapsed(JOINED, unit="hours"), 36),
        (elapsed(now(), JOINED), Decimal("-1.5")), (elapsed(NO_TIME), None),
        (elapsed(attribute("spring", "time"), warsaw("2026-03-29T12:00:00")), 1),
        (elapsed(attribute("spring", "time"), warsaw("2026-03-29T12:00:00"), unit="hours"), 23),
        (attribute("city"), None), (attribute("five", "text"), "5"), (attribute("five", "time"), None),
        (attribute("joined", "time"), warsaw("2026-05-30T12:00:00")), (attribute("five", "boolean"), None),
        (Constant(value=True), True), (Constant(value="a"), "a"), (Constant(value=-3), -3),
        (Constant(value=warsaw(AS_OF)), warsaw(AS_OF)), (Constant(value=1.5), Decimal("1.5")),
    ],
    ids=lambda one: in_words(one) if isinstance(one, Part) else str(one),
)  # fmt: skip
def test_a_formula_has_the_value_computed_by_hand(rows: Rows, formula: Any, expected: object) -> None:
    customer = rows.customer(ATTRIBUTES)
    assert rows.values(formula, AS_OF) == {customer: expected}


def test_an_expression_rests_on_aggregates_and_other_expressions(rows: Rows) -> None:
    latest = Aggregate(name="latest", function="last", actions="points.loyalty", parameter="points")
    double = Expression(name="double", formula=EARNED * 2)
    quadruple = Expression(name="select", title="a word of SQL", formula=double + double)
    customer, nobody = rows.customer(), rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 100)
    rows.event(customer, "points.loyalty", "2026-05-02", 10)
    asked = Expression(name="order", formula=when(quadruple > double, quadruple - double + latest, otherwise=-1))
    known = (EARNED, latest, double, quadruple)
    assert rows.values(asked, AS_OF, *known) == {customer: 230, nobody: -1}


MUCH = 2**53  # the most points of one event
ALL = 2 * MUCH + 1


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (EARNED / (EARNED + EARNED), Decimal("0.5")), (size_of(EARNED) / (EARNED + EARNED), Decimal("0.5")),
        (highest(EARNED, EARNED - 1) / (EARNED + EARNED), Decimal("0.5")),
        (when(VIP, EARNED, otherwise=0) / (EARNED + EARNED), Decimal("0.5")),
        (first_known(EARNED, 0) / (EARNED + EARNED), Decimal("0.5")), (EARNED * EARNED, ALL**2),
        (rounded_down(EARNED), ALL), (rounded_up(EARNED), ALL), (rounded(EARNED), ALL), (rounded_down(EARNED, 2), ALL),
        (EARNED + 0.5, ALL + Decimal("0.5")),
    ],
    ids=lambda one: in_words(one) if isinstance(one, Part) else str(one),
)  # fmt: skip
def test_points_are_numbers_like_others_however_they_are_summed(rows: Rows, formula: Any, expected: object) -> None:
    customer = rows.customer(ATTRIBUTES)
    for day in ("2026-05-01", "2026-05-02"):
        rows.event(customer, "points.loyalty", day, MUCH)
        rows.event(customer, "points.cancel", day, MUCH)
    rows.event(customer, "points.loyalty", "2026-05-03", 1)
    [found] = rows.values(Expression(name="asked", formula=formula), AS_OF, EARNED).values()
    assert found == expected


def test_names_of_tables_and_columns_are_free_for_definitions(rows: Rows) -> None:
    names = ("fact", "wanted", "profile", "event", "value", "e", "the_e", "as_of", "attributes")
    known = [Aggregate(name="account", function="count", actions="visit")]
    for name in names:
        known.append(Expression(name=name, formula=known[-1] + attribute("five")))  # type: ignore[arg-type]
    customer = rows.customer(ATTRIBUTES)
    rows.event(customer, "visit", "2026-05-01")
    assert rows.values(known.pop(), AS_OF, *known) == {customer: 1 + 5 * len(names)}


def test_several_values_come_from_one_statement(rows: Rows) -> None:
    earned = Aggregate(name="earned", function="sum", actions="points.loyalty", parameter="points")
    visits = Aggregate(name="visits", function="count", actions="visit")
    both = Expression(name="both", formula=earned + visits)
    customer, nobody = rows.customer(), rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 100)
    rows.event(customer, "visit", "2026-05-01")
    catalog = Catalog([earned, visits, both])
    assert rows.columns(catalog, ["both", "earned"], AS_OF) == [
        {"profile_id": customer, "both": 101, "earned": 100},
        {"profile_id": nobody, "both": 0, "earned": 0},
    ]
    assert str(compile_values(catalog, PROGRAM, [both, earned])).count("FROM loyalty.event") == 1


def test_only_the_profiles_asked_for_are_answered(rows: Rows) -> None:
    rows.customer()
    customer = rows.customer()
    plain = Expression(name="plain", formula=1)
    only = select(profile.c.profile_id).where(profile.c.profile_id == customer)
    statement = compile_expression(Catalog([plain]), PROGRAM, plain, profiles=only)
    assert rows.connection.execute(statement, {"as_of": warsaw(AS_OF)}).all() == [(customer, 1)]
