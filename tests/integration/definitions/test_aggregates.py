"""Every function over hand-made events."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from integration.definitions.rows import PROGRAM, Rows, warsaw
from loyalty.compile import compile_aggregate
from loyalty.model.aggregates import OCCURRED_AT, Aggregate, EventReference
from loyalty.model.catalog import Catalog
from loyalty.model.filters import Filter
from loyalty.model.periods import Reached, last, lifetime

AS_OF = "2026-06-01"
AMOUNT = "$totalAmount"


def over_charges(function: str, parameter: str | None = AMOUNT, **more: Any) -> Aggregate:
    return Aggregate(name="asked", function=function, actions="transaction.charge", parameter=parameter, **more)


def sum_of(*actions: str, parameter: str = "points", **more: Any) -> Aggregate:
    return Aggregate(name="asked", function="sum", actions=actions, parameter=parameter, **more)


def charges(rows: Rows) -> int:
    customer = rows.customer()
    bought = [("03", 30, "B"), ("01", " 10.5 ", "A"), ("02", 20, "B"), ("04", "many", None), ("05", 20.0, "C")]
    for day, amount, shop in bought:
        params = {AMOUNT: amount} | ({"shop": shop, "online": shop == "B"} if shop else {})
        rows.event(customer, "transaction.charge", f"2026-05-{day}", **params)
    rows.event(customer, "transaction.charge", "2026-06-01", **{AMOUNT: 9_999, "shop": "Z"})
    rows.event(customer, "transaction.refund", "2026-05-20", **{AMOUNT: 5_000})
    return customer


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (over_charges("sum"), Decimal("80.5")),
        (over_charges("count", None), 5),
        (over_charges("min"), Decimal("10.5")),
        (over_charges("max"), 30),
        (over_charges("average"), Decimal("20.125")),
        (over_charges("first"), Decimal("10.5")),
        (over_charges("last"), 20),
        (over_charges("exists", None), True),
        (over_charges("distinct_count"), 4),
        (over_charges("distinct_count", reads="number"), 3),
        (over_charges("distinct_count", "shop"), 3),
        (over_charges("median"), 20),
        (over_charges("quantile", q=0.0), Decimal("10.5")),
        (over_charges("quantile", q=0.25), Decimal("17.625")),
        (over_charges("quantile", q=1.0), 30),
        (over_charges("first", "shop", reads="text"), "A"),
        (over_charges("last", "shop", reads="text"), "C"),
        (over_charges("first", "online", reads="boolean"), False),
        (over_charges("first", OCCURRED_AT), warsaw("2026-05-01")),
        (over_charges("last", OCCURRED_AT), warsaw("2026-05-05")),
        (over_charges("min", OCCURRED_AT), warsaw("2026-05-01")),
        (over_charges("max", OCCURRED_AT), warsaw("2026-05-05")),
        (over_charges("distinct_count", OCCURRED_AT), 5),
    ],
    ids=lambda one: f"{one.function}-{one.parameter}-{one.reads}-{one.q}" if isinstance(one, Aggregate) else "",
)
def test_each_function_over_events(rows: Rows, aggregate: Aggregate, expected: object) -> None:
    customer = charges(rows)
    assert rows.values(aggregate, AS_OF)[customer] == expected


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        *((over_charges(function), 0) for function in ("sum", "distinct_count")),
        (over_charges("count", None), 0),
        (over_charges("exists", None), False),
        *((over_charges(function), None) for function in ("min", "max", "average", "first", "last", "median")),
        (over_charges("quantile", q=0.5), None),
        (over_charges("last", "shop", reads="text"), None),
        (over_charges("max", OCCURRED_AT), None),
    ],
    ids=lambda one: f"{one.function}-{one.parameter}" if isinstance(one, Aggregate) else "",
)
def test_over_no_events_sums_and_counts_are_zero_and_the_rest_is_null(
    rows: Rows, aggregate: Aggregate, expected: object
) -> None:
    nothing, other, late = rows.customer(), rows.customer(), rows.customer()
    rows.event(other, "transaction.refund", "2026-05-01", **{AMOUNT: 1, "shop": "A"})
    rows.event(late, "transaction.charge", AS_OF, **{AMOUNT: 1, "shop": "A"})
    assert rows.values(aggregate, AS_OF) == {nothing: expected, other: expected, late: expected}


def test_the_first_and_last_of_one_instant_are_those_recorded_first_and_last(rows: Rows) -> None:
    customer = rows.customer()
    for shop in "ABC":
        rows.event(customer, "transaction.charge", "2026-05-01", shop=shop)
    assert rows.values(over_charges("first", "shop", reads="text"), AS_OF)[customer] == "A"
    assert rows.values(over_charges("last", "shop", reads="text"), AS_OF)[customer] == "C"


def test_several_actions_are_taken_together(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 100)
    rows.event(customer, "points.survey", "2026-05-02", 7)
    assert rows.values(sum_of("points.loyalty", "points.survey"), AS_OF)[customer] == 107


def test_the_amount_of_an_action_that_loses_points_is_what_its_parameter_says(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 100)
    rows.event(customer, "client.activatePromotion", "2026-05-02", 60)
    rows.event(customer, "points.cancel", "2026-05-03", 10)
    rows.event(customer, "points.adjust", "2026-05-04", -5)
    activated = sum_of("client.activatePromotion", parameter="promotionRequireRedeemedPoints")
    assert rows.values(activated, AS_OF)[customer] == 60
    assert rows.values(sum_of("points.cancel"), AS_OF)[customer] == 10
    assert rows.values(sum_of("points.adjust"), AS_OF)[customer] == -5
    assert rows.values(sum_of("points.loyalty", "points.cancel"), AS_OF)[customer] == 110
    assert rows.values(sum_of("client.activatePromotion"), AS_OF)[customer] == 0


def test_a_filter_on_points_reads_the_amount(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 100)
    rows.event(customer, "points.cancel", "2026-05-02", 30)
    rows.event(customer, "points.cancel", "2026-05-03", 3)
    more_than = Filter(parameter="points", is_="more_than", value=20)
    assert rows.values(sum_of("points.loyalty", "points.cancel", where=(more_than,)), AS_OF)[customer] == 130


def test_large_amounts_stay_exact(rows: Rows) -> None:
    customer = rows.customer()
    rows.event(customer, "points.loyalty", "2026-05-01", 2**53)
    rows.event(customer, "points.cancel", "2026-05-01", 2**53)
    rows.event(customer, "points.loyalty", "2026-05-02", 2**53)
    total = sum_of("points.loyalty").model_copy(update={"name": "total"})
    assert rows.values(total * total, AS_OF, total)[customer] == 2**108


class TestWhatCountsAtTheAsOfInstant:
    def test_an_expiry_dated_then_counts_and_nothing_else(self, rows: Rows) -> None:
        customer = rows.customer()
        rows.event(customer, "points.loyalty", "2026-05-01", 100)
        rows.event(customer, "points.loyalty", AS_OF, 1_000)
        expiry = rows.event(customer, "points.expire", AS_OF, 40)
        cancel = rows.event(customer, "points.cancel", "2026-05-02", 20)
        rows.event(customer, "points.restore", AS_OF, 4, about=expiry)
        rows.event(customer, "points.restore", AS_OF, 2, about=cancel)
        of_expiry = EventReference(actions="points.expire")
        of_other = EventReference(actions="points.expire", absent=True)
        assert rows.values(sum_of("points.loyalty"), AS_OF)[customer] == 100
        assert rows.values(sum_of("points.expire"), AS_OF)[customer] == 40
        assert rows.values(sum_of("points.restore", refers_to=of_expiry), AS_OF)[customer] == 4
        assert rows.values(sum_of("points.restore", refers_to=of_other), AS_OF)[customer] == 0
        assert rows.values(sum_of("points.restore"), AS_OF)[customer] == 4
        assert rows.values(sum_of("points.restore", "points.expire"), AS_OF)[customer] == 44
        assert rows.values(sum_of("points.loyalty", "points.expire", "points.restore"), AS_OF)[customer] == 144
        assert rows.values(sum_of("points.restore"), "2026-06-02")[customer] == 6

    def test_an_expiry_belongs_to_the_days_up_to_and_including_its_midnight(self, rows: Rows) -> None:
        customer = rows.customer()
        rows.event(customer, "points.loyalty", "2026-01-01", 100)
        rows.event(customer, "points.expire", "2026-05-31", 1)
        rows.event(customer, "points.expire", "2026-06-01", 10)
        yesterday = sum_of("points.expire", period=last(days=1))
        assert rows.values(yesterday, "2026-06-01")[customer] == 10
        assert rows.values(yesterday, "2026-05-31")[customer] == 1
        assert rows.values(sum_of("points.loyalty", "points.expire", period=last(days=1)), "2026-06-01")[customer] == 10


class TestReferences:
    def test_the_referred_event_is_chosen_by_action_filter_and_period(self, rows: Rows) -> None:
        customer = rows.customer()
        old = rows.event(customer, "points.loyalty", "2025-01-01", 100, shop="A")
        new = rows.event(customer, "points.loyalty", "2026-05-01", 100, shop="B")
        rows.event(customer, "points.reverse", "2026-05-02", 3, about=old)
        rows.event(customer, "points.reverse", "2026-05-02", 40, about=new)

        def reversed_of(**more: Any) -> int:
            reference = EventReference(actions="points.loyalty", **more)
            return rows.values(sum_of("points.reverse", refers_to=reference), AS_OF)[customer]

        assert reversed_of() == 43
        assert reversed_of(period=lifetime().before(days=182)) == 3
        assert reversed_of(where=(Filter(parameter="shop", is_="equal", value="B"),)) == 40
        assert reversed_of(absent=True) == 0
        assert reversed_of(absent=True, period=lifetime().before(days=182)) == 40

    def test_an_event_that_refers_to_nothing_is_absent(self, rows: Rows) -> None:
        customer = rows.customer()
        rows.event(customer, "points.adjust", "2026-05-02", 3)
        absent = EventReference(actions=("points.loyalty", "points.adjust"), absent=True)
        assert rows.values(sum_of("points.adjust", refers_to=absent), AS_OF)[customer] == 3


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [("2026-05-30T23:59:59", 0), ("2026-05-31", 5), ("2026-06-01", 5)],
)
def test_a_date_carried_by_an_event_has_come_with_its_local_midnight(rows: Rows, as_of: str, expected: int) -> None:
    customer = rows.customer()
    for written in ("2026-05-31", "31.05.2026", "2026-02-30", "", None, 20260531):
        rows.event(customer, "voucher.given", "2026-05-01", expires_on=written, worth=5)
    dated = sum_of("voucher.given", parameter="worth", period=Reached(parameter="expires_on"))
    assert rows.values(dated, as_of)[customer] == expected


def test_an_aggregate_compiles_by_itself(rows: Rows) -> None:
    customer = charges(rows)
    aggregate = over_charges("count", None)
    statement = compile_aggregate(Catalog([aggregate]), PROGRAM, aggregate)
    assert rows.connection.execute(statement, {"as_of": datetime(2026, 6, 1, tzinfo=UTC)}).all() == [(customer, 6)]
