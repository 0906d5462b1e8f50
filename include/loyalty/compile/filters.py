"""Filters as conditions on a JSON document: never null, so that they may be negated."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Numeric, Text, and_, case, false, func, literal, not_, or_, true

from loyalty.compile.parameters import field, read, text_of
from loyalty.model.filters import Filter
from loyalty.model.scalars import Scalar
from loyalty.store.tables import Instant


def filter_clause(
    params: ColumnElement[Any], condition: Filter, zone: str = "UTC", number: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Whether the document passes; ``number`` is a column that holds the parameter as a number, where there is one.

    A parameter that is missing, or null, compares to nothing. A number in a text is a number to a number. A time
    without an offset is one of the zone.
    """
    present = text_of(params, condition.parameter).is_not(None)
    match condition.is_:
        case "exists":
            return present
        case "missing":
            return not_(present)
        case "not_equal":
            return and_(present, not_(_compared(params, condition, zone, number)))
        case "contains":
            return _contains(params, condition)
        case _:
            return _compared(params, condition, zone, number)


def constant(value: Scalar) -> ColumnElement[Any]:
    """The constant as a bind of its kind; numbers are exact decimals."""
    if isinstance(value, bool):
        return true() if value else false()
    if isinstance(value, int | float):
        return literal(Decimal(str(value)), Numeric())
    return literal(value, Instant) if isinstance(value, datetime) else literal(value, Text())


def _compared(
    params: ColumnElement[Any], condition: Filter, zone: str, number: ColumnElement[Any] | None
) -> ColumnElement[bool]:
    kind = condition.kind
    assert kind is not None, "what is compared has a kind"
    found = number if kind == "number" and number is not None else read(params, condition.parameter, kind, zone)
    wanted = [constant(value) for value in condition.values]
    match condition.is_:
        case "more_than":
            holds = found > wanted[0]
        case "less_than":
            holds = found < wanted[0]
        case _:
            holds = or_(*(found == one for one in wanted))
    return func.coalesce(holds, False)


def _contains(params: ColumnElement[Any], condition: Filter) -> ColumnElement[bool]:
    [wanted] = condition.values
    document = field(params, condition.parameter)
    listed = func.jsonb_exists(document, wanted, type_=Boolean())
    inside = func.strpos(text_of(params, condition.parameter), wanted) > 0
    return func.coalesce(case((func.jsonb_typeof(document) == "array", listed), else_=inside), False)
