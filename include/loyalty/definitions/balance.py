"""The definitions that every program has: points collected, lost, held and due, and whom to visit at a midnight.

The formulas are those of rolling expiry and batch cancellation, with reversals, returns, restores and adjustments
netted on the side of the account that they belong to.
"""

from functools import reduce
from operator import add, sub
from uuid import UUID

from loyalty.definitions.adjustments import (
    all_adjustments,
    corrected_earnings,
    corrected_gifts,
    due_adjustments,
    gifts,
)
from loyalty.definitions.due_points import earned_and_due, earned_just_before_due, reversed_and_due
from loyalty.model.actions import BUILT_IN_ACTIONS, EARNING
from loyalty.model.aggregates import Aggregate, EventReference
from loyalty.model.catalog import Catalog, Value
from loyalty.model.expressions import Expression, highest, when
from loyalty.model.formulas import Operand
from loyalty.model.periods import Last, Period, lifetime
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment, Unsettled

POINTS_TO_EXPIRE = UUID("a7d340ac-906d-49af-83a1-fbe4015bc76f")


def balance_catalog(program: Program) -> Catalog:
    """The shipped definitions alone."""
    return Catalog(shipped_definitions(program))


def shipped_definitions(program: Program) -> tuple[AnyDefinition, ...]:
    """They all, each after what it rests on, for every earning action of the program with its own validity."""
    adjusted_up = (gifts(program), corrected_earnings(program), corrected_gifts())
    collected = _collected(program, adjusted_up)
    lost = _lost(adjusted_up)
    matured = _matured(program)
    values = _by_name(*collected, *lost, *matured)
    values |= _by_name(*_conclusions(program, values))
    return (*values.values(), *_segments(program, values["points_to_expire"], values["points_to_cancel"]))


def _collected(program: Program, adjusted_up: tuple[Aggregate, ...]) -> tuple[Value, ...]:
    earned = _sum("earned_points", "Points earned", *program.earning_actions)
    taken_back = _sum("reversed_points", "Points taken back for refunds", "points.reverse")
    collected = Expression(
        name="collected_points",
        title="Collected points",
        formula=_plus(earned - taken_back, *adjusted_up),
    )
    return earned, taken_back, *adjusted_up, collected


def _lost(adjusted_up: tuple[Aggregate, ...]) -> tuple[Value, ...]:
    corrected = EventReference(actions=("points.expire",))
    others = EventReference(actions=("points.expire",), absent=True)
    expiries = _sum("expiry_points", "Points of all expiries", "points.expire")
    corrections = _sum("expiry_corrections", "Points of expiries corrected", "points.restore", refers_to=corrected)
    activated = _sum("activated_points", "Points paid for promotions", "client.activatePromotion")
    returned = _sum("returned_points", "Points returned by promotions", "client.deactivatePromotion")
    cancellations = _sum("cancellation_points", "Points of all cancellations", "points.cancel")
    restored = _sum("restored_points", "Points of cancellations restored", "points.restore", refers_to=others)
    adjusted = all_adjustments()
    nets = (
        Expression(name="expired_points", title="Expired points", formula=expiries - corrections),
        Expression(name="redeemed_points", title="Points redeemed on promotions", formula=activated - returned),
        Expression(name="cancelled_points", title="Cancelled points", formula=cancellations - restored),
        Expression(name="adjusted_down", title="Points taken by an operator", formula=_plus(*adjusted_up) - adjusted),
    )
    lost = Expression(name="points_lost", title="Points lost", formula=_plus(*nets))
    return expiries, corrections, activated, returned, cancellations, restored, adjusted, *nets, lost


def _matured(program: Program) -> tuple[Value, ...]:
    gained = (*earned_and_due(program), *due_adjustments(program))
    taken = tuple(reversed_and_due(program))
    matured = reduce(sub, taken, _plus(*gained))
    title = "Points that are potentially to expire"
    return *gained, *taken, Expression(name="matured_points", title=title, formula=matured)


def _conclusions(program: Program, values: dict[str, Value]) -> tuple[Value, ...]:
    matured, lost = values["matured_points"], values["points_lost"]
    balance = Expression(
        name="current_balance",
        title="Current point balance",
        formula=values["collected_points"] - lost,
    )
    to_expire = Expression(
        name="points_to_expire",
        id=POINTS_TO_EXPIRE,
        title="Points to expire",
        formula=when(matured <= lost, 0, otherwise=matured - lost),
    )
    length = program.cancellation.spared
    title = f"Points earned in the last {length.describe()}"
    spared = _sum("spared_points", title, *program.earning_actions, period=Last(length=length))
    to_cancel = Expression(
        name="points_to_cancel",
        title="Points to cancel",
        formula=highest(0, balance - spared),
    )
    return balance, to_expire, spared, to_cancel


def _segments(program: Program, to_expire: Value, to_cancel: Value) -> tuple[Segment, ...]:
    just_due = earned_just_before_due(program)
    some_to_expire = to_expire > 0
    return (
        Segment(name="points_to_expire", title="Customers with a midnight to settle", where=Unsettled()),
        Segment(
            name="seed_points_to_expire",
            title="Customers with points to expire, earned in the last 24 hours before they fell due",
            where=just_due & some_to_expire if just_due else some_to_expire,
        ),
        Segment(name="points_to_cancel", title="Customers with points to cancel", where=to_cancel > 0),
    )


def _sum(
    name: str, title: str, *actions: str, period: Period | None = None, refers_to: EventReference | None = None
) -> Aggregate:
    meaning = BUILT_IN_ACTIONS.get(actions[0], EARNING)
    return Aggregate(
        name=name,
        title=title,
        function="sum",
        actions=actions,
        parameter=meaning.parameter,
        period=period or lifetime(),
        refers_to=refers_to,
    )


def _plus(first: Operand, *others: Operand) -> Operand:
    return reduce(add, others, first)


def _by_name(*values: Value) -> dict[str, Value]:
    return {one.name: one for one in values}
