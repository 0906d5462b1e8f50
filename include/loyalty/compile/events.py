"""Which events a definition chooses, and what they carry."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, or_, select, true

from loyalty.compile.filters import filter_clause
from loyalty.compile.parameters import read
from loyalty.compile.periods import LateOnes, in_period, visible
from loyalty.model.aggregates import OCCURRED_AT, EventChoice, EventReference
from loyalty.model.filters import Filter
from loyalty.model.program import Program
from loyalty.model.scalars import Kind
from loyalty.store.tables import event

EXPIRY = "points.expire"
RESTORE = "points.restore"


def chosen(events: FromClause, choice: EventChoice, program: Program) -> ColumnElement[bool]:
    """The events that the choice is about, and that exist as of the bind ``as_of``."""
    late = _late_ones(events, choice)
    return and_(
        of_actions(events, choice.actions),
        visible(events, late),
        in_period(events, choice.period, program.timezone, late),
        *(_passes(events, choice.actions, one, program) for one in choice.where),
        _refers(events, choice.refers_to, program) if choice.refers_to else true(),
    )


def of_actions(events: FromClause, actions: tuple[str, ...]) -> ColumnElement[bool]:
    """The events of any of the actions."""
    return events.c.action == actions[0] if len(actions) == 1 else events.c.action.in_(actions)


def carried(
    events: FromClause, actions: tuple[str, ...], name: str, kind: Kind, program: Program
) -> ColumnElement[Any]:
    """What the events carry under the name; amounts of points come from their own column, so that no JSON is read."""
    if kind == "time" and name == OCCURRED_AT:
        return events.c.occurred_at
    points = _points(events, actions, name, program) if kind == "number" else None
    return read(events.c.params, name, kind, program.timezone) if points is None else points


def _points(events: FromClause, actions: tuple[str, ...], name: str, program: Program) -> ColumnElement[Any] | None:
    meanings = {action: program.meaning_of(action) for action in actions}
    if any(meaning.parameter != name for meaning in meanings.values()):
        return None
    losing = tuple(action for action, meaning in meanings.items() if meaning.sign < 0)
    if not losing:
        return events.c.points
    if len(losing) == len(actions):
        return -events.c.points
    return case((of_actions(events, losing), -events.c.points), else_=events.c.points)


def _passes(events: FromClause, actions: tuple[str, ...], one: Filter, program: Program) -> ColumnElement[bool]:
    points = _points(events, actions, one.parameter, program)
    return filter_clause(events.c.params, one, program.timezone, points)


def looks_up(choice: EventChoice) -> bool:
    """Whether the choice asks what event another one refers to."""
    return choice.refers_to is not None or RESTORE in choice.actions


def _late_ones(events: FromClause, choice: EventChoice) -> LateOnes:
    """Expiries, and the restores that correct one, are dated with the midnight they belong to and count at it."""
    kinds = set(choice.actions)
    reference = choice.refers_to
    if kinds == {EXPIRY}:
        return True
    if RESTORE in kinds and reference and not reference.absent and set(reference.actions) == {EXPIRY}:
        return True if kinds <= {EXPIRY, RESTORE} else events.c.action.in_([EXPIRY, RESTORE])
    if RESTORE in kinds and not (reference and reference.absent and EXPIRY in reference.actions):
        corrects = and_(events.c.action == RESTORE, _referred(events, of=(EXPIRY,)).is_not(None))
        return or_(events.c.action == EXPIRY, corrects) if EXPIRY in kinds else corrects
    return events.c.action == EXPIRY if EXPIRY in kinds else False


def _refers(events: FromClause, reference: EventReference, program: Program) -> ColumnElement[bool]:
    target = event.alias("referred")
    conditions = [in_period(target, reference.period, program.timezone)]
    conditions += [_passes(target, reference.actions, one, program) for one in reference.where]
    found = _referred(events, reference.actions, *conditions, target=target)
    return found.is_(None) if reference.absent else found.is_not(None)


def _referred(
    events: FromClause, of: tuple[str, ...], *conditions: ColumnElement[bool], target: FromClause | None = None
) -> ColumnElement[bool]:
    """True or null; a scalar subquery, for the planner turns no such one into a scan of all events."""
    target = event.alias("referred") if target is None else target
    found = select(true().label("found")).where(
        target.c.profile_id == events.c.profile_id,
        target.c.key == events.c.refers_to,
        of_actions(target, of),
        *conditions,
    )
    return found.correlate(events).scalar_subquery()
