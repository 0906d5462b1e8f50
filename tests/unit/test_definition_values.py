"""Definitions are values: they validate themselves, print as JSON, read back equal, and say what they mean."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pydantic import ValidationError

from loyalty.model.aggregates import OCCURRED_AT, Aggregate, EventReference
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
from loyalty.model.filters import Filter
from loyalty.model.formulas import Constant
from loyalty.model.periods import Last, Reached, Span, between, last, lifetime, since, span, until
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import AttributeIs, Segment, Tagged, Unsettled, did_not_happen, happened

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=timezone(timedelta(hours=1)))
MATURED = Aggregate(
    name="matured", function="sum", actions="points.loyalty", parameter="points", period=lifetime().before(days=182)
)
LOST = Aggregate(name="lost", function="sum", actions=("points.expire", "points.cancel"), parameter="points")
LATEST = Aggregate(name="latest", function="last", actions="transaction.charge", parameter=OCCURRED_AT)
TO_EXPIRE = Expression(name="to_expire", formula=when(MATURED <= LOST, 0, otherwise=MATURED - LOST))
HAS_X = Filter(parameter="x", is_="exists")
BEFORE_END = Filter(parameter="t", is_="less_than", value=END)
PERIODS = [
    lifetime(), lifetime().before(weeks=2), last(days=30), last(hours=24).before(days=182), between(START, END),
    since(START), until(END), Reached(parameter="expires_on"),
]  # fmt: skip
FORMULAS = [
    (MATURED + 1) * 2 - LOST / Decimal("0.5"),
    (1 + MATURED) * (2 - LOST) + 3 / LOST * 4,
    ~((MATURED > 1) & (LOST >= 2) | MATURED.equals(LOST) & LOST.differs(0) | (LOST < 5)),
    highest(0, lowest(MATURED, LOST), first_known(attribute("age"), 18)),
    rounded(MATURED, 2) + rounded_down(MATURED) + rounded_up(MATURED) + size_of(LOST),
    elapsed(LATEST) + elapsed(attribute("since", "time"), now(), unit="hours") + elapsed(START, END),
    attribute("city", "text").equals("Łódź") & attribute("vip", "boolean") & attribute("n").equals(True),
    TO_EXPIRE > 0,
]
CONDITIONS = [
    Unsettled(),
    Tagged(tag="vip") & AttributeIs(filter=Filter(parameter="age", is_="more_than", value=18)),
    happened("a", "b", at_least=3, period=last(days=7)) | did_not_happen("c", where=(HAS_X,)),
    ~(Unsettled() | Tagged(tag="x")) & (TO_EXPIRE > 0),
]


@pytest.mark.parametrize(
    "definition",
    [
        MATURED,
        LOST.model_copy(update={"refers_to": EventReference(actions="a", period=last(days=1), absent=True)}),
        Aggregate(name="q", function="quantile", q=0.9, actions="a", parameter="x", where=(BEFORE_END, HAS_X)),
        *(Aggregate(name="n", function="count", actions="a", period=period) for period in PERIODS),
        *(Expression(name="e", formula=formula) for formula in FORMULAS),
        *(Segment(name="s", where=condition) for condition in CONDITIONS),
    ],
)  # fmt: skip
def test_a_definition_reads_back_from_its_json(definition: AnyDefinition) -> None:
    printed = json.loads(json.dumps(definition.to_json()))
    assert type(definition).model_validate(printed) == definition
    assert type(definition).model_validate_json(json.dumps(printed)) == definition
    assert type(definition).model_validate(printed).to_json() == printed


def test_the_id_follows_from_kind_and_name() -> None:
    assert Expression(name="same", formula=1).id == Expression(name="same", formula=2, title="Other").id
    assert Expression(name="same", formula=1).id != Segment(name="same", where=Unsettled()).id
    assert str(MATURED.id) == "e82724e9-2043-5c4a-9177-f5109703744e"


def test_a_title_follows_from_the_name_where_none_is_given() -> None:
    assert TO_EXPIRE.title == "To expire"


def test_definitions_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MATURED.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (MATURED.describe(), "sum of points over points.loyalty, up to 182 days ago"),
        (LOST.describe(), "sum of points over points.expire or points.cancel"),
        (TO_EXPIRE.describe(), "if matured ≤ lost then 0, otherwise matured - lost"),
        (last(hours=24).before(days=182).describe(), "in the last 24 hours before 182 days"),
        (last(months=1).describe(), "in the last 1 month"),
        (between(START, END).describe(), "since 2026-01-01T00:00:00+00:00 and before 2026-01-31T23:00:00+00:00"),
        (Reached(parameter="expires_on").describe(), "whose expires_on has come"),
        (Filter(parameter="city", is_="in", value=("A", "B")).describe(), "city is one of 'A', 'B'"),
        (Filter(parameter="city", is_="exists").describe(), "city exists"),
        (CONDITIONS[1].describe(), "(tagged vip) and (the customer's age is more than 18)"),
        (
            CONDITIONS[2].describe(),
            "(happened at least 3 times: a or b, in the last 7 days) or (not (happened: c where x exists))",
        ),
        (Expression(name="e", formula=FORMULAS[3]).describe(),
         "the highest of (0, the lowest of (matured, lost), the first known of (the customer's age, 18))"),
        (Expression(name="e", formula=rounded(MATURED / 2, 2)).describe(), "rounded to 2 decimals (matured / 2)"),
        (Expression(name="e", formula=elapsed(LATEST)).describe(), "days from latest to now"),
        (Expression(name="e", formula=(MATURED > 1) & ~(LOST > 1)).describe(), "(matured > 1) and (not (lost > 1))"),
    ],
)  # fmt: skip
def test_a_definition_says_what_it_means(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"function": "sum", "actions": "a"}, "'sum' takes a parameter"),
        ({"function": "count", "actions": "a", "parameter": "x"}, "'count' takes no parameter"),
        ({"function": "quantile", "actions": "a", "parameter": "x"}, "takes q between 0 and 1"),
        ({"function": "median", "actions": "a", "parameter": "x", "q": 0.5}, "and only it, takes q"),
        (
            {"function": "sum", "actions": "a", "parameter": "x", "reads": "text"},
            "not take a parameter that reads",
        ),
        ({"function": "sum", "actions": "a", "parameter": OCCURRED_AT}, "does not take a parameter that reads as time"),
        ({"function": "max", "actions": "a", "parameter": "x", "reads": "text"}, "reads as text"),
        ({"function": "count", "actions": []}, "at least 1 item"),
        ({"function": "count", "actions": "a", "period": {"type": "last"}}, "Field required"),
        ({"function": "count", "actions": "a", "perod": {}}, "Extra inputs are not permitted"),
    ],
)
def test_an_aggregate_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Aggregate.model_validate({"name": "a", **wrong})


@pytest.mark.parametrize("name", ["", "Points", "1st", "with space", "a" * 51, "a-b"])
def test_a_name_is_a_slug(name: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Expression(name=name, formula=1)


@pytest.mark.parametrize("value", [None, [1], float("nan"), float("inf"), datetime(2026, 1, 1), b"x"])
def test_a_constant_is_a_number_a_text_a_time_or_a_truth(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a number"):
        Constant(value=value)


def test_a_text_that_states_an_instant_is_that_time() -> None:
    assert Constant(value="2026-01-01T00:00:00+01:00").value == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert Constant(value="2026-01-01").value == "2026-01-01"
    assert Constant(value="1700000000").value == "1700000000"


def test_python_cannot_take_a_formula_for_true() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(MATURED > 0)
    with pytest.raises(TypeError, match="no truth value"):
        assert 0 < MATURED < 5


@pytest.mark.parametrize("wrong", [{}, {"days": 1, "hours": 2}])
def test_a_length_has_one_unit(wrong: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="exactly one unit"):
        span(**wrong)


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": -1}, {"fortnights": 1}, {"years": 201}, {"days": True}])
def test_a_length_is_a_count_of_known_units(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        span(**wrong)


def test_a_period_between_holds_some_time() -> None:
    with pytest.raises(ValidationError, match="start must lie before end"):
        between(END, START)


def test_last_before_keeps_both_lengths() -> None:
    assert last(hours=24).before(days=182) == Last(length=span(hours=24), before_=Span(count=182, unit="days"))


@pytest.mark.parametrize(
    ("comparison", "value", "said"),
    [
        ("exists", 1, "takes no value"), ("missing", 1, "takes no value"), ("equal", None, "takes one value"),
        ("equal", (1, 2), "takes one value"), ("in", (), "takes a list"), ("in", (1, "a"), "of one kind"),
        ("contains", 1, "takes a text"), ("more_than", "a", "takes a number or a time"),
        ("less_than", True, "takes a number or a time"), ("like", 1, "Input should be"),
    ],
)  # fmt: skip
def test_a_filter_takes_the_value_that_fits_it(comparison: str, value: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Filter.model_validate({"parameter": "x", "is": comparison, "value": value})
