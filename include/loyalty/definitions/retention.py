"""Which events may go, and when: nothing that a balance, a rule or a definition still reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from loyalty.errors import Faults
from loyalty.model.actions import BUILT_IN_ACTIONS
from loyalty.model.aggregates import Aggregate, EventChoice
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition, every_condition
from loyalty.model.retention import Retentions, days_read
from loyalty.model.segments import Happened, Segment


@dataclass(frozen=True)
class Need:
    """Somebody reads an action, so many days back (None: all of it)."""

    days: int | None
    why: str


def retentions(program: Program, catalog: Catalog, source: str = "program.yaml") -> Retentions:
    """How long each action is kept; Faults lists every setting that would take what is still read, and by whom.

    What is read without a setting of its own is kept as long as it is read, and no shorter than the others.
    """
    needs: dict[str, list[Need]] = {}
    for action, need in _needs(program, catalog):
        needs.setdefault(action, []).append(need)
    wanted, faults, kept = program.retention, list[str](), dict[str, int | None]()
    for action, days in wanted.actions.items():
        kept[action] = days
        faults += [
            f"{source}: retention.actions.{action}: {days} days would lose what {need.why}"
            for need in needs.get(action, ())
            if days is not None and (need.days is None or need.days > days)
        ]
    if faults:
        raise Faults(faults)
    for action in needs.keys() - kept.keys():
        lengths = [wanted.days, *(need.days for need in needs[action])]
        kept[action] = None if None in lengths else max(length for length in lengths if length is not None)
    return Retentions(kept, wanted.days)


def _needs(program: Program, catalog: Catalog) -> Iterator[tuple[str, Need]]:
    for action in BUILT_IN_ACTIONS:
        yield action, Need(None, "the ledger itself is made of")
    for action in program.earning_actions:
        yield action, Need(None, "every balance is made of: it earns points")
    for rule in program.earning_rules:
        yield rule.action, Need(None, f"the earning rule {rule.name!r} turns into points")
    for definition in catalog.definitions:
        for choice in _choices(definition):
            yield from _read_by(definition, choice)


def _choices(definition: AnyDefinition) -> Iterator[EventChoice]:
    if isinstance(definition, Aggregate):
        yield definition
    if isinstance(definition, Segment):
        yield from (one for one in every_condition(definition.where) if isinstance(one, Happened))


def _read_by(definition: AnyDefinition, choice: EventChoice) -> Iterator[tuple[str, Need]]:
    for part in (choice, choice.refers_to):
        if part is not None:
            days = days_read(part.period)
            reach = "all of it" if days is None else f"{days} days back"
            for action in part.actions:
                yield action, Need(days, f"the {definition.kind} {definition.name!r} reads ({reach})")
