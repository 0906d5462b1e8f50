"""Each comparison with each kind of value, and what a missing or odd parameter compares to."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import not_, select

from integration.definitions.rows import Rows
from loyalty.compile import filter_clause
from loyalty.model.filters import Filter
from loyalty.model.segments import AttributeIs
from loyalty.store.tables import event

NUMBERS = {
    "int": 5, "float": 5.0, "text": "5", "spaced": " 5.00 ", "other": 7, "word": "five", "true": True, "null": None,
}  # fmt: skip
TEXTS = {"same": "Łódź", "longer": "Łódź Fabryczna", "other": "Kraków", "number": 5, "list": ["Łódź", 5], "null": None}
TRUTHS = {"true": True, "text": " True ", "false": False, "word": "yes", "number": 1, "null": None}
TIMES = {
    "utc": "2026-06-01T10:00:00Z", "offset": "2026-06-01 12:00:00+02:00", "local": "2026-06-01T12:00:00",
    "later": "2026-06-02", "earlier": "2026-06-01T11:59:59.999999", "word": "soon", "no_day": "2026-02-30",
    "leap": "2024-02-29", "no_leap": "2023-02-29", "number": 20260601, "null": None,
}  # fmt: skip
NOON = datetime(2026, 6, 1, 10, tzinfo=UTC)


def passing(rows: Rows, values: dict[str, Any], comparison: str, value: Any = None) -> set[str]:
    """Which of the parameters pass, asked of events; the negation must hold for exactly the others."""
    customer = rows.customer()
    for name, found in values.items():
        rows.event(customer, "visit", "2026-05-01", x=found, name=name)
    rows.event(customer, "visit", "2026-05-01", name="missing")
    clause = filter_clause(event.c.params, Filter(parameter="x", is_=comparison, value=value), "Europe/Warsaw")
    name = event.c.params.op("->>")("name")
    found_names = set(rows.connection.scalars(select(name).where(clause)))
    assert set(rows.connection.scalars(select(name).where(not_(clause)))) == {*values, "missing"} - found_names
    return found_names


@pytest.mark.parametrize(
    ("values", "comparison", "value", "expected"),
    [
        (NUMBERS, "equal", 5, "int float text spaced"),
        (NUMBERS, "not_equal", 5, "other word true"),
        (NUMBERS, "more_than", 4.5, "int float text spaced other"),
        (NUMBERS, "more_than", 5, "other"),
        (NUMBERS, "less_than", 7, "int float text spaced"),
        (NUMBERS, "in", (5, 6), "int float text spaced"),
        (NUMBERS, "equal", "5", "int text"),
        (NUMBERS, "equal", "5.0", "float"),
        (NUMBERS, "exists", None, "int float text spaced other word true"),
        (NUMBERS, "missing", None, "null missing"),
        (TEXTS, "equal", "Łódź", "same"),
        (TEXTS, "not_equal", "Łódź", "longer other number list"),
        (TEXTS, "in", ("Łódź", "Kraków"), "same other"),
        (TEXTS, "contains", "Łódź", "same longer list"),
        (TEXTS, "contains", "5", "number"),
        (TEXTS, "contains", "ó", "same longer other"),
        (TRUTHS, "equal", True, "true text"),
        (TRUTHS, "equal", False, "false"),
        (TRUTHS, "not_equal", True, "false word number"),
        (TRUTHS, "in", (True, False), "true text false"),
        (TIMES, "equal", NOON, "utc offset local"),
        (TIMES, "not_equal", NOON, "later earlier word no_day leap no_leap number"),
        (TIMES, "more_than", NOON, "later"),
        (TIMES, "less_than", NOON, "earlier leap"),
        (TIMES, "in", (NOON, datetime(2026, 6, 1, 22, tzinfo=UTC)), "utc offset local later"),
    ],
)
def test_which_parameters_pass(rows: Rows, values: dict[str, Any], comparison: str, value: Any, expected: str) -> None:
    assert passing(rows, values, comparison, value) == set(expected.split())


def test_an_attribute_of_the_profile_compares_alike(rows: Rows) -> None:
    young, old, unknown = rows.customer({"age": "17"}), rows.customer({"age": 70}), rows.customer()
    grown_up = AttributeIs(filter=Filter(parameter="age", is_="more_than", value=18))
    assert rows.members(grown_up, "2026-06-01") == {old}
    assert rows.members(~grown_up, "2026-06-01") == {young, unknown}


def test_a_name_that_needs_quoting_is_just_a_name(rows: Rows) -> None:
    customer = rows.customer({'it\'s "odd" %s :x': 1})
    odd = AttributeIs(filter=Filter(parameter='it\'s "odd" %s :x', is_="equal", value=1))
    assert rows.members(odd, "2026-06-01") == {customer}
