"""Definitions are checked together: every fault at once, null in words, a stable fingerprint."""

from uuid import UUID

import pytest

from loyalty.errors import Faults, LoyaltyError
from loyalty.model.aggregates import OCCURRED_AT, Aggregate
from loyalty.model.catalog import Catalog
from loyalty.model.expressions import Expression, attribute, elapsed, first_known, highest, rounded, when
from loyalty.model.formulas import ValueOf
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import AllOf, InSegment, Segment, Unsettled, happened

EARNED = Aggregate(name="earned", function="sum", actions="points.loyalty", parameter="points")
DEAREST = Aggregate(name="dearest", function="max", actions="transaction.charge", parameter="$totalAmount")
LATEST = Aggregate(name="latest", function="max", actions="transaction.charge", parameter=OCCURRED_AT)
SHOP = Aggregate(name="shop", function="last", actions="transaction.charge", parameter="shop", reads="text")
EVER = Aggregate(name="ever", function="exists", actions="transaction.charge")
VALUES = (EARNED, DEAREST, LATEST, SHOP, EVER)


def expression(name: str, formula: object) -> Expression:
    return Expression(name=name, formula=formula)


def named(name: str) -> ValueOf:
    return ValueOf(type="expression", name=name)


def faults(*definitions: AnyDefinition) -> list[str]:
    with pytest.raises(Faults) as caught:
        Catalog((*VALUES, *definitions))
    return list(caught.value.faults)


def warnings(formula: object) -> str:
    return "\n".join(Catalog((*VALUES, expression("checked", formula))).warnings)


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        ([expression("earned", 1)], "expression 'earned': the name 'earned' is taken by another aggregate"),
        ([Expression(name="x", id=EARNED.id, formula=1)], f"the id {EARNED.id} is that of the aggregate 'earned'"),
        ([expression("x", named("y"))], "expression 'x': refers to 'y', which is no expression; known: x"),
        ([expression("x", named("earned"))], "refers to 'earned', which is no expression; it is an aggregate"),
        ([expression("x", ValueOf(type="aggregate", name="earnd"))], "did you mean 'earned'?"),
        ([Segment(name="s", where=InSegment(name="t"))], "refers to 't', which is no segment"),
        ([expression("x", named("x") + 1)], "expression 'x': rests on itself: x -> x"),
        ([expression("x", named("y")), expression("y", named("x"))], "expression 'x': rests on itself: x -> y -> x"),
        ([Segment(name="s", where=~InSegment(name="s"))], "segment 's': rests on itself: s -> s"),
        ([expression("x", EARNED + SHOP)], "in 'earned + shop', 'shop' is a text; 'add' takes numbers"),
        ([expression("x", EARNED.equals(SHOP))], "'equal' mixes number and text; all must be of one kind"),
        ([expression("x", SHOP > "a")], "'shop' is a text; 'more' takes numbers or times"),
        ([expression("x", EVER & EARNED)], "'earned' is a number; 'and' takes true or false"),
        ([expression("x", ~LATEST)], "'latest' is a time; 'not' takes true or false"),
        ([expression("x", when(EARNED, 1, otherwise=0))], "'earned' is a number; 'if' takes true or false"),
        ([expression("x", when(EVER, 1, otherwise="a"))], "'if' mixes number and text"),
        ([expression("x", first_known(SHOP, 0))], "'coalesce' mixes text and number"),
        ([expression("x", highest(EVER, EVER))], "'ever' is a boolean; 'max' takes numbers or times"),
        ([expression("x", rounded(SHOP))], "'shop' is a text; 'round' takes numbers"),
        ([expression("x", elapsed(EARNED))], "'earned' is a number; 'elapsed' takes times"),
        ([expression("x", EARNED > 1), expression("y", named("x") + 1)], "'x' is a boolean; 'add' takes numbers"),
        ([Segment(name="s", where=EARNED)], "'earned' is a number; a condition is true or false"),
        ([expression("profile_id", 1)], "names the customer beside every value"),
    ],
)
def test_a_fault_names_the_definition_and_what_would_be_right(definitions: list[AnyDefinition], said: str) -> None:
    found = faults(*definitions)
    assert sum(said in fault for fault in found) == 1, found


def test_all_faults_are_said_at_once() -> None:
    found = faults(
        expression("a", named("nowhere")),
        expression("b", named("b")),
        expression("c", EARNED + SHOP),
        Segment(name="d", where=AllOf(terms=(EARNED, InSegment(name="nowhere")))),
        expression("earned", 1),
    )
    assert len(found) == 6


def test_what_rests_on_a_fault_is_no_second_fault() -> None:
    found = faults(
        expression("a", named("nowhere") + 1), expression("b", named("a") + 1), expression("c", named("b") > 0)
    )
    assert len(found) == 1


def test_a_value_and_a_segment_may_share_a_name() -> None:
    catalog = Catalog([EARNED, Segment(name="earned", where=EARNED > 0)])
    assert len(catalog.find("earned")) == 2
    assert catalog.value("earned") == EARNED
    assert catalog.segment("earned").where.describe() == "earned > 0"


@pytest.mark.parametrize("key", ["dearest", str(DEAREST.id), DEAREST.id])
def test_a_definition_is_found_by_name_or_id(key: str | UUID) -> None:
    assert Catalog(VALUES).value(key) == DEAREST


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(LoyaltyError, match="dearst is no definition; did you mean 'dearest'"):
        Catalog(VALUES).find("dearst")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        (DEAREST + 1, "dearest (max) is null over no events"),
        (LATEST, "latest (max) is null over no events"),
        (EARNED / DEAREST, "division by zero is null, and 'dearest' may be zero"),
        (EARNED / EARNED, "division by zero is null, and 'earned' may be zero"),
        (EARNED / 0, "division by zero is null, and '0' may be zero"),
        (attribute("age") * 2, "the customer's age may be unknown"),
        (when(EARNED > 0, DEAREST, otherwise=0), "dearest (max) is null"),
        (first_known(DEAREST, attribute("age")), "the customer's age may be unknown"),
        (highest(0, DEAREST), "dearest (max) is null"),
    ],
)
def test_where_an_expression_can_turn_null_is_said(formula: object, said: str) -> None:
    assert said in warnings(formula)
    assert "coalesce" in warnings(formula)


@pytest.mark.parametrize(
    "formula",
    [
        EARNED + 1,
        EARNED / 2,
        DEAREST > 5,
        first_known(DEAREST, 0) + 1,
        first_known(EARNED / EARNED, 0),
        when(DEAREST > 0, 1, otherwise=0),
        EVER & attribute("vip", "boolean"),
    ],
)
def test_no_warning_where_there_is_a_default(formula: object) -> None:
    assert warnings(formula) == ""


def test_a_nullable_part_makes_what_rests_on_it_nullable() -> None:
    catalog = Catalog((*VALUES, expression("a", DEAREST * 2), expression("b", named("a") + 1)))
    assert "a can itself be null" in catalog.warnings[1]


def test_parts_come_before_what_rests_on_them() -> None:
    a, b = expression("a", EARNED + DEAREST), expression("b", named("a") + EARNED)
    segment = Segment(name="s", where=AllOf(terms=(InSegment(name="t"), b > 0)))
    other = Segment(name="t", where=happened("x") & Unsettled())
    catalog = Catalog([segment, other, b, a, EARNED, DEAREST])
    assert [one.name for one in catalog.parts(segment)] == ["earned", "dearest", "a", "b", "t", "s"]


def test_the_fingerprint_is_that_of_the_meaning_not_of_the_order() -> None:
    assert Catalog(VALUES).fingerprint() == Catalog(reversed(VALUES)).fingerprint()
    changed = (EARNED.model_copy(update={"title": "Other"}), *VALUES[1:])
    assert Catalog(VALUES).fingerprint() != Catalog(changed).fingerprint()


def test_a_catalog_reads_back_from_its_json() -> None:
    catalog = Catalog((*VALUES, expression("x", EARNED + 1), Segment(name="s", where=EARNED > 0)))
    assert Catalog.from_json(catalog.to_json()).fingerprint() == catalog.fingerprint()
