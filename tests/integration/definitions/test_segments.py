"""Conditions of segments, alone and together, in each place where the compiler treats them differently."""

import pytest

from integration.definitions.rows import Rows
from loyalty.model.aggregates import Aggregate
from loyalty.model.expressions import attribute
from loyalty.model.filters import Filter
from loyalty.model.formulas import Constant
from loyalty.model.periods import last
from loyalty.model.segments import (
    AllOf,
    AnyOf,
    AttributeIs,
    Condition,
    InSegment,
    Segment,
    Tagged,
    Unsettled,
    did_not_happen,
    happened,
)

AS_OF = "2026-06-01"
VISITS = Aggregate(name="visits", function="count", actions="visit")
IN_LODZ = AttributeIs(filter=Filter(parameter="city", is_="equal", value="Łódź"))
RECENT = happened("visit", period=last(days=7))
ONLINE = happened("visit", where=(Filter(parameter="channel", is_="equal", value="online"),))
CALLED = happened("call")
LODZ = Segment(name="lodz", where=IN_LODZ)
FREQUENT = Segment(name="frequent", where=VISITS >= 2)


@pytest.fixture
def people(rows: Rows) -> dict[str, int]:
    """anna: Łódź, vip, 3 visits; bert: 1 old visit, online, unsettled; cela: calls only, unsettled; dora: nothing."""
    people = {
        "anna": rows.customer({"city": "Łódź"}, tags=("vip", "new")),
        "bert": rows.customer({"city": "Kraków"}),
        "cela": rows.customer({"city": "Łódź"}, tags=("new",)),
        "dora": rows.customer(),
    }
    for day in ("2026-05-01", "2026-05-30", "2026-05-31"):
        rows.event(people["anna"], "visit", day, channel="shop")
    rows.event(people["bert"], "visit", "2026-05-01", channel="online")
    rows.event(people["cela"], "call", "2026-05-20")
    rows.event(people["dora"], "visit", AS_OF, channel="online")
    rows.settle_on(people["bert"], "2026-06-01")
    rows.settle_on(people["cela"], "2026-05-12")
    rows.settle_on(people["dora"], "2026-06-02")
    return people


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RECENT, "anna"),
        (happened("visit"), "anna bert"),
        (happened("visit", at_least=2), "anna"),
        (happened("visit", at_least=4), ""),
        (happened("visit", "call"), "anna bert cela"),
        (did_not_happen("visit"), "cela dora"),
        (~happened("visit", at_least=2), "bert cela dora"),
        (ONLINE | CALLED, "bert cela"),
        (ONLINE & CALLED, ""),
        (happened("visit") & ~ONLINE, "anna"),
        (ONLINE & (VISITS > 0), "bert"),
        ((ONLINE | RECENT) & (VISITS > 1), "anna"),
        (IN_LODZ, "anna cela"),
        (Tagged(tag="new"), "anna cela"),
        (~Tagged(tag="vip"), "bert cela dora"),
        (~Tagged(tag="vip") & (VISITS.equals(0)), "cela dora"),
        (Tagged(tag="new") & did_not_happen("visit"), "cela"),
        (Tagged(tag="new") & RECENT, "anna"),
        (Unsettled(), "bert cela"),
        (~Unsettled(), "anna dora"),
        (Unsettled() & ONLINE, "bert"),
        (Unsettled() & IN_LODZ, "cela"),
        (Unsettled() & (VISITS.equals(0)), "cela"),
        (Unsettled() & (attribute("city", "text").equals("Kraków")), "bert"),
        (Unsettled() & ~(ONLINE | Tagged(tag="vip")), "cela"),
        (Unsettled() | RECENT, "anna bert cela"),
        (Unsettled() | Tagged(tag="vip"), "anna bert cela"),
        (AnyOf(terms=(Unsettled() & IN_LODZ, Tagged(tag="vip") & RECENT)), "anna cela"),
        (VISITS >= 1, "anna bert"),
        (Constant(value=True), "anna bert cela dora"),
        (attribute("vip", "boolean"), ""),
        (InSegment(name="lodz") & ~InSegment(name="frequent"), "cela"),
        (InSegment(name="frequent") | ONLINE, "anna bert"),
        (RECENT & InSegment(name="lodz"), "anna"),
        (AllOf(terms=(RECENT, happened("visit", at_least=3), did_not_happen("call"))), "anna"),
    ],
    ids=lambda one: one.describe() if isinstance(one, Condition) else "",
)
def test_who_satisfies_a_condition(rows: Rows, people: dict[str, int], where: Condition, expected: str) -> None:
    assert rows.members(where, AS_OF, VISITS, LODZ, FREQUENT) == {people[name] for name in expected.split()}


def test_a_midnight_to_settle_counts_from_its_local_day_on(rows: Rows) -> None:
    customer = rows.customer()
    rows.settle_on(customer, "2026-06-01")
    assert rows.members(Unsettled(), "2026-05-31T23:59:59") == set()
    assert rows.members(Unsettled(), "2026-06-01T00:00:00") == {customer}
    assert rows.members(Unsettled(), "2027-01-01") == {customer}
