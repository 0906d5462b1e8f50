"""Earning rules as SQL: the awards that the events of the waiting profiles are worth."""

from sqlalchemy import ColumnElement, Date, Select, String, Uuid, and_, case, cast, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import CompoundSelect

from loyalty.compile.filters import filter_clause
from loyalty.model.program import EarningRule, Program
from loyalty.store.tables import account, batch, event

MOST_POINTS = 2**53


def compile_awards(program: Program) -> CompoundSelect[tuple[object, ...]]:
    """One row for each event of the batch that a rule reads and has points for, or has an unreadable amount.

    Columns: profile_id, key (the award's own), action, occurred_at, points (null: unreadable), params, refers_to.
    """
    return union_all(*(_awards_of(rule, program.timezone) for rule in program.earning_rules))


def _awards_of(rule: EarningRule, zone: str) -> Select[tuple[object, ...]]:
    points = _points(rule)
    return (
        select(
            event.c.profile_id,
            cast(func.md5(literal(f"award:{rule.name}:") + cast(event.c.key, String)), Uuid).label("key"),
            literal(rule.earns).label("action"),
            event.c.occurred_at,
            points.label("points"),
            _params(rule, points).label("params"),
            event.c.key.label("refers_to"),
        )
        .select_from(batch.join(account, account.c.profile_id == batch.c.profile_id))
        .join(event, and_(event.c.profile_id == batch.c.profile_id, event.c.occurred_at >= account.c.award_from))
        .where(event.c.action == rule.action, *_conditions(rule, zone))
        .where(func.coalesce(points != 0, True))
    )


def _points(rule: EarningRule) -> ColumnElement[int | None]:
    if rule.points_per_event is not None:
        return literal(rule.points_per_event)
    worth = func.floor(_amount(rule) * literal(rule.points_per_unit))
    return case((worth <= 0, 0), (worth <= MOST_POINTS, func.int8(worth)), else_=None)


def _amount(rule: EarningRule) -> ColumnElement[object]:
    return func.loyalty.number_of(event.c.params[rule.amount])


def _params(rule: EarningRule, points: ColumnElement[int | None]) -> ColumnElement[object]:
    known: list[object] = ["points", points, "rule", rule.name]
    if rule.points_per_unit is not None:
        known += ["amount", _amount(rule), "points_per_unit", literal(rule.points_per_unit)]
    return cast(func.jsonb_build_object(*known), JSONB)


def _conditions(rule: EarningRule, zone: str) -> list[ColumnElement[bool]]:
    day = cast(func.timezone(zone, event.c.occurred_at), Date)
    conditions = [filter_clause(event.c.params, one) for one in rule.where]
    if rule.valid_from:
        conditions.append(day >= rule.valid_from)
    if rule.valid_to:
        conditions.append(day <= rule.valid_to)
    return conditions
