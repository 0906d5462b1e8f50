"""Points given or taken by an operator, on the side of the account that each adjustment belongs to."""

from collections.abc import Iterator

from loyalty.model.actions import BUILT_IN_ACTIONS
from loyalty.model.aggregates import Aggregate, EventReference
from loyalty.model.filters import Filter
from loyalty.model.periods import Period, Reached, lifetime
from loyalty.model.program import Program

_ADJUST = "points.adjust"
_UP = Filter(parameter="points", is_="more_than", value=0)
_DATE_HAS_COME = Reached(parameter="expires_on")


def gifts(program: Program) -> Aggregate:
    """Points given that correct no other points event: they count as collected."""
    return _sum("gifted_points", "Points given by an operator", where=(_UP,), refers_to=_of_no_points(program))


def corrected_earnings(program: Program) -> Aggregate:
    """What corrects an earning or its reversal: it counts as collected."""
    earnings = EventReference(actions=(*program.earning_actions, "points.reverse"))
    return _sum("corrections_of_earnings", "Corrections of earned points", refers_to=earnings)


def corrected_gifts() -> Aggregate:
    """What corrects points given: it counts as collected."""
    return _sum("corrections_of_gifts", "Corrections of points given", refers_to=_gift())


def all_adjustments() -> Aggregate:
    """All adjustments, whatever they correct."""
    return _sum("adjusted_points", "Adjustments, up less down")


def due_adjustments(program: Program) -> Iterator[Aggregate]:
    """Points given whose date has come, and their corrections, which expire with them."""
    yield _sum(
        "gifted_points_due",
        "Points given whose date has come",
        where=(_UP,),
        period=_DATE_HAS_COME,
        refers_to=_of_no_points(program),
    )
    yield _sum(
        "corrections_of_gifts_due",
        "Corrections of points given whose date has come",
        refers_to=_gift(_DATE_HAS_COME),
    )


def _sum(
    name: str,
    title: str,
    *,
    where: tuple[Filter, ...] = (),
    period: Period | None = None,
    refers_to: EventReference | None = None,
) -> Aggregate:
    return Aggregate(
        name=name,
        title=title,
        function="sum",
        actions=(_ADJUST,),
        parameter="points",
        where=where,
        period=period or lifetime(),
        refers_to=refers_to,
    )


def _gift(period: Period | None = None) -> EventReference:
    return EventReference(actions=(_ADJUST,), where=(_UP,), period=period or lifetime())


def _of_no_points(program: Program) -> EventReference:
    moving = [action for action, meaning in BUILT_IN_ACTIONS.items() if meaning.parameter]
    return EventReference(actions=(*program.earning_actions, *moving), absent=True)
