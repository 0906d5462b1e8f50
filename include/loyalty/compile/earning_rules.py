"""Earning rules as SQL: the awards that the events of the waiting profiles are worth."""

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Numeric,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
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
    read = _events_of(rule, zone)
    points = read.c.points
    return select(
        read.c.profile_id,
        cast(func.md5(literal(f"award:{rule.name}:") + cast(read.c.key, Text)), UUID(as_uuid=True)).label("key"),
        literal(rule.earns).label("action"),
        read.c.occurred_at,
        points,
        cast(func.jsonb_build_object(*_params(rule, read)), JSONB).label("params"),
        read.c.key.label("refers_to"),
    ).where(func.coalesce(points != 0, True))


def _events_of(rule: EarningRule, zone: str) -> Subquery:
    """The events that the rule reads, the amount and the points of each worked out once (OFFSET 0 keeps it so)."""
    amounts = (
        select(batch.c.profile_id, event.c.key, event.c.occurred_at, _amount(rule).label("amount"))
        .select_from(batch.join(account, account.c.profile_id == batch.c.profile_id))
        .join(event, and_(event.c.profile_id == batch.c.profile_id, event.c.occurred_at >= account.c.award_from))
        .where(event.c.action == rule.action, *_conditions(rule, zone))
        .offset(0)
        .subquery("amounts")
    )
    return select(*amounts.c, _points(rule, amounts.c.amount).label("points")).offset(0).subquery("read")


def _amount(rule: EarningRule) -> ColumnElement[object]:
    if rule.points_per_unit is None:
        return cast(null(), Numeric)
    amount: ColumnElement[object] = func.loyalty.number_of(event.c.params[rule.amount])
    return amount


def _points(rule: EarningRule, amount: ColumnElement[object]) -> ColumnElement[int | None]:
    if rule.points_per_unit is None:
        return cast(literal(rule.points_per_event), BigInteger)
    worth = func.floor(amount * literal(rule.points_per_unit, Numeric))
    return case((worth <= 0, 0), (worth <= MOST_POINTS, cast(worth, BigInteger)), else_=None)


def _params(rule: EarningRule, read: Subquery) -> list[object]:
    params: list[object] = ["points", read.c.points, "rule", rule.name]
    if rule.points_per_unit is not None:
        params += ["amount", read.c.amount, "points_per_unit", literal(rule.points_per_unit, Numeric)]
    return params


def _conditions(rule: EarningRule, zone: str) -> list[ColumnElement[bool]]:
    day = cast(func.timezone(zone, event.c.occurred_at), Date)
    conditions = [filter_clause(event.c.params, one, zone) for one in rule.where]
    if rule.valid_from:
        conditions.append(day >= rule.valid_from)
    if rule.valid_to:
        conditions.append(day <= rule.valid_to)
    return conditions
