"""Periods as conditions on the time of an event; every instant is reckoned from the bind ``as_of``."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Date, FromClause, Interval, and_, bindparam, func, literal, not_, or_, true

from loyalty.compile.parameters import day_of
from loyalty.model.periods import Between, Last, Lifetime, Period, Reached, Span, Unit
from loyalty.store.tables import Instant

AS_OF: ColumnElement[datetime] = bindparam("as_of", type_=Instant)
# A later midnight that the program has settled already. A bind, and not looked up, so that the planner knows how few
# accounts it leaves, and takes the index account_settle_on.
SETTLED_THROUGH: ColumnElement[date] = bindparam("settled_through", date(1, 1, 1), type_=Date)
LateOnes = ColumnElement[bool] | bool
"""Which events count at the as-of instant itself, and not only before it: none, all, or those of a condition."""


def visible(events: FromClause, late: LateOnes) -> ColumnElement[bool]:
    """The events that exist for a computation as of that instant."""
    moment = events.c.occurred_at
    if isinstance(late, bool):
        return moment <= AS_OF if late else moment < AS_OF
    return or_(moment < AS_OF, and_(moment == AS_OF, late))


def in_period(events: FromClause, period: Period, zone: str, late: LateOnes = False) -> ColumnElement[bool]:
    """The events that lie in the period."""
    moment = events.c.occurred_at
    match period:
        case Lifetime(before_=None):
            return true()
        case Lifetime(before_=Span() as distance):
            return moment <= back(zone, distance)
        case Last(length=length, before_=None):
            return _from(moment, back(zone, length), late)
        case Last(length=length, before_=Span() as distance):
            return and_(moment > back(zone, distance, length), moment <= back(zone, distance))
        case Between(start=start, end=end):
            bounds = [moment >= literal(start, Instant)] if start else []
            return and_(*bounds, moment < literal(end, Instant)) if end else and_(*bounds)
        case Reached(parameter=parameter):
            return func.coalesce(day_of(events.c.params, parameter, zone) <= AS_OF, False)
    raise TypeError(f"no period: {period!r}")


def earliest(period: Period, zone: str) -> ColumnElement[datetime] | None:
    """No event of the period lies before this instant; None where there is no such bound."""
    match period:
        case Last(length=length, before_=before):
            return back(zone, *([before] if before else []), length)
        case Between(start=datetime() as start):
            return literal(start, Instant)
        case _:
            return None


def back(zone: str, *spans: Span) -> ColumnElement[datetime]:
    """The instant that lies these lengths before as-of, one after the other; days and longer by the zone's calendar."""
    moment: ColumnElement[Any] = AS_OF
    waiting: list[Span] = []
    for span in spans:
        if span.unit == "hours":
            moment, waiting = _calendar_back(moment, waiting, zone) - _interval(span), []
        else:
            waiting.append(span)
    return _calendar_back(moment, waiting, zone)


def _calendar_back(moment: ColumnElement[Any], spans: Sequence[Span], zone: str) -> ColumnElement[Any]:
    if not spans:
        return moment
    local: ColumnElement[Any] = func.timezone(zone, moment)
    for span in spans:
        local = local - _interval(span)
    return func.loyalty.local_instant(local, zone, type_=Instant)


def _interval(span: Span) -> ColumnElement[Any]:
    """By make_interval, which the planner computes once, as it does not for an interval read from a text."""
    lengths = [span.count if unit == span.unit else 0 for unit in get_args(Unit)]
    return func.make_interval(*lengths, type_=Interval())


def _from(moment: ColumnElement[datetime], start: ColumnElement[datetime], late: LateOnes) -> ColumnElement[bool]:
    if isinstance(late, bool):
        return moment > start if late else moment >= start
    return or_(moment > start, and_(moment == start, not_(late)))
