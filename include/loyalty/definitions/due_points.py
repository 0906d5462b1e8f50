"""Earned points that have outlived their validity, one group for each validity."""

from collections.abc import Iterator

from loyalty.model.aggregates import Aggregate, EventReference
from loyalty.model.filters import Filter
from loyalty.model.periods import last, lifetime
from loyalty.model.program import Program
from loyalty.model.segments import AnyOf, Condition, happened

_SOME_POINTS = Filter(parameter="points", is_="more_than", value=0)


def actions_by_validity(program: Program) -> dict[int, tuple[str, ...]]:
    """The earning actions whose points expire, by the days that these are valid."""
    groups: dict[int, tuple[str, ...]] = {}
    for action, earning in program.earning_actions.items():
        if earning.validity_days is not None:
            groups[earning.validity_days] = (*groups.get(earning.validity_days, ()), action)
    return groups


def earned_and_due(program: Program) -> Iterator[Aggregate]:
    """Points earned, and corrections of them, that are due."""
    for days, actions in actions_by_validity(program).items():
        yield Aggregate(
            name=f"earned_{days}_days_ago",
            title=f"Points earned {days} days ago or before",
            function="sum",
            actions=actions,
            parameter="points",
            period=lifetime().before(days=days),
        )
        yield _about("points.adjust", f"corrections_of_{days}_days_ago", "Corrections", days, actions)


def reversed_and_due(program: Program) -> Iterator[Aggregate]:
    """Points taken back of those that are due."""
    for days, actions in actions_by_validity(program).items():
        yield _about("points.reverse", f"reversals_of_{days}_days_ago", "Reversals", days, actions)


def earned_just_before_due(program: Program) -> Condition | None:
    """Points were earned in the last 24 hours before their validity; None where no points expire."""
    terms = tuple(
        happened(action, where=(_SOME_POINTS,), period=last(hours=24).before(days=days))
        for days, actions in actions_by_validity(program).items()
        for action in actions
    )
    if len(terms) > 1:
        return AnyOf(terms=terms)
    return terms[0] if terms else None


def _about(action: str, name: str, title: str, days: int, actions: tuple[str, ...]) -> Aggregate:
    return Aggregate(
        name=name,
        title=f"{title} of points earned {days} days ago or before",
        function="sum",
        actions=(action,),
        parameter="points",
        refers_to=EventReference(actions=actions, period=lifetime().before(days=days)),
    )
