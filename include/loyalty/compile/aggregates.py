"""Aggregates as one pass over the events, each with a FILTER of its own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Double, Numeric, Select, and_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from loyalty.compile.events import carried, chosen, of_actions
from loyalty.compile.parameters import field
from loyalty.compile.periods import AS_OF, earliest
from loyalty.model.aggregates import Aggregate
from loyalty.model.program import Program
from loyalty.store.tables import event

_EVENTS = event.alias("e")
_ZERO_OVER_NOTHING = ("sum", "count", "distinct_count")


def facts(program: Program, wanted: Mapping[str, Aggregate], owner: ColumnElement[int] | None) -> Select[Any]:
    """One column per label: of the ``owner``, in one row; or of every profile that has events, in one row each."""
    columns = [_value(one, program).label(label) for label, one in wanted.items()]
    actions = tuple(dict.fromkeys(action for one in wanted.values() for action in one.actions))
    scanned = and_(of_actions(_EVENTS, actions), _EVENTS.c.occurred_at <= AS_OF, *_floor(program, wanted))
    if owner is None:
        return select(_EVENTS.c.profile_id, *columns).where(scanned).group_by(_EVENTS.c.profile_id)
    return select(*columns).where(_EVENTS.c.profile_id == owner, scanned)


def defaulted(aggregate: Aggregate, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The aggregate's value also where there are no events at all."""
    if aggregate.function in _ZERO_OVER_NOTHING:
        return func.coalesce(column, 0, type_=column.type)
    return func.coalesce(column, False, type_=Boolean()) if aggregate.function == "exists" else column


def _floor(program: Program, wanted: Mapping[str, Aggregate]) -> list[ColumnElement[bool]]:
    """Where every period has a start, no event before the earliest of them is read."""
    starts = [earliest(one.period, program.timezone) for one in wanted.values()]
    known = [start for start in starts if start is not None]
    if len(known) < len(starts):
        return []
    return [_EVENTS.c.occurred_at >= (known[0] if len(known) == 1 else func.least(*known))]


def _value(aggregate: Aggregate, program: Program) -> ColumnElement[Any]:
    condition = chosen(_EVENTS, aggregate, program)
    if aggregate.function == "count":
        return cast(func.count().filter(condition), Numeric())
    if aggregate.function == "exists":
        return func.count().filter(condition) > 0
    assert aggregate.parameter is not None, "every other function has a parameter"
    value = carried(_EVENTS, aggregate.actions, aggregate.parameter, aggregate.parameter_kind, program)
    if aggregate.function in ("first", "last"):
        return _at_the_end(aggregate, value, condition)
    if aggregate.function == "distinct_count":
        return cast(func.count(_distinguished(aggregate, program).distinct()).filter(condition), Numeric())
    return _folded(aggregate, value, condition)


def _folded(aggregate: Aggregate, value: ColumnElement[Any], condition: ColumnElement[bool]) -> ColumnElement[Any]:
    match aggregate.function:
        case "sum" if isinstance(value.type, BigInteger):
            return func.loyalty.total(value, type_=BigInteger()).filter(condition)
        case "sum":
            return func.sum(value, type_=Numeric()).filter(condition)
        case "average":
            return func.avg(value, type_=Numeric()).filter(condition)
        case "min":
            return _exact(aggregate, func.min(value).filter(condition))
        case "max":
            return _exact(aggregate, func.max(value).filter(condition))
        case _:
            share: ColumnElement[float] = literal(0.5 if aggregate.q is None else aggregate.q, Double())
            middle = func.percentile_cont(share).within_group(cast(value, Double()))
            return cast(middle.filter(condition), Numeric())


def _at_the_end(aggregate: Aggregate, value: ColumnElement[Any], condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """The value of the first or the last event that carries one; events of one instant in the order of recording."""
    order: list[ColumnElement[Any]] = [_EVENTS.c.occurred_at, _EVENTS.c.recorded_at, _EVENTS.c.key]
    if aggregate.function == "last":
        order = [one.desc() for one in order]
    listed = func.array_agg(aggregate_order_by(value, *order), type_=ARRAY(value.type))
    return _exact(aggregate, listed.filter(and_(condition, value.is_not(None)))[1])


def _exact(aggregate: Aggregate, value: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(value, Numeric()) if aggregate.value_kind == "number" else value


def _distinguished(aggregate: Aggregate, program: Program) -> ColumnElement[Any]:
    """Tells values apart; a number and the text that holds it are one."""
    assert aggregate.parameter is not None, "distinct_count has a parameter"
    if aggregate.reads is not None or aggregate.parameter_kind == "time":
        return carried(_EVENTS, aggregate.actions, aggregate.parameter, aggregate.parameter_kind, program)
    document = field(_EVENTS.c.params, aggregate.parameter)
    found = func.nullif(document, cast("null", document.type))
    return func.coalesce(func.to_jsonb(func.loyalty.number_of(document)), found)
