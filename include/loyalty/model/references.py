"""Which definitions a definition names."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from loyalty.model.aggregates import Aggregate
from loyalty.model.expressions import Expression
from loyalty.model.formulas import Part, ValueOf, every_part
from loyalty.model.segments import Condition, InSegment, Satisfies, Segment, nested

AnyDefinition = Aggregate | Expression | Segment


class Key(NamedTuple):
    """How one definition names another: two of one kind never share a name."""

    kind: str
    name: str


def key_of(definition: AnyDefinition) -> Key:
    """The name by which the definition is found."""
    return Key(definition.kind, definition.name)


def formulas(definition: AnyDefinition) -> Iterator[Part]:
    """The formulas that the definition is made of."""
    if isinstance(definition, Expression):
        yield definition.formula
    if isinstance(definition, Segment):
        yield from (one.formula for one in every_condition(definition.where) if isinstance(one, Satisfies))


def every_condition(condition: Condition) -> Iterator[Condition]:
    """The condition and all below it, outermost first."""
    yield condition
    for inner in nested(condition):
        yield from every_condition(inner)


def references(definition: AnyDefinition) -> tuple[Key, ...]:
    """What the definition names directly, each once, in order of appearance."""
    found = [Key(part.type, part.name) for formula in formulas(definition) for part in every_part(formula)
             if isinstance(part, ValueOf)]  # fmt: skip
    if isinstance(definition, Segment):
        found += [Key("segment", one.name) for one in every_condition(definition.where) if isinstance(one, InSegment)]
    return tuple(dict.fromkeys(found))


def needed(definition: AnyDefinition, known: Mapping[Key, AnyDefinition]) -> tuple[AnyDefinition, ...]:
    """Everything the definition rests on, itself last, each after what it rests on."""
    ordered: dict[Key, AnyDefinition] = {}

    def visit(one: AnyDefinition) -> None:
        if key_of(one) in ordered:
            return
        for key in references(one):
            visit(known[key])
        ordered[key_of(one)] = one

    visit(definition)
    return tuple(ordered.values())


def cycles(known: Mapping[Key, AnyDefinition]) -> list[tuple[Key, ...]]:
    """Each ring of definitions that name one another, once."""
    rings: dict[frozenset[Key], tuple[Key, ...]] = {}
    done: set[Key] = set()

    def visit(key: Key, path: tuple[Key, ...]) -> None:
        if key in path:
            ring = path[path.index(key) :]
            rings.setdefault(frozenset(ring), ring)
        elif key in known and key not in done:
            for inner in references(known[key]):
                visit(inner, (*path, key))
            done.add(key)

    for key in known:
        visit(key, ())
    return list(rings.values())
