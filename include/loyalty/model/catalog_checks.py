"""The rules that definitions must keep together: each rule yields every fault it finds."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loyalty.errors import nearest
from loyalty.model.aggregates import Aggregate
from loyalty.model.expressions import Expression
from loyalty.model.kinds import kind_of_part, misfits
from loyalty.model.phrases import in_words
from loyalty.model.references import AnyDefinition, Key, cycles, every_condition, formulas, key_of, needed, references
from loyalty.model.scalars import Kind
from loyalty.model.segments import Satisfies, Segment

Fault = tuple[AnyDefinition, str]
Index = Mapping[Key, AnyDefinition]


def catalog_faults(definitions: Sequence[AnyDefinition]) -> Iterator[Fault]:
    """Every fault of the definitions, each with the definition at fault."""
    known = {key_of(one): one for one in definitions}
    yield from _reserved_names(definitions)
    yield from _names_given_twice(definitions)
    yield from _ids_given_twice(definitions)
    for definition in definitions:
        yield from ((definition, text) for text in _dangling(definition, known))
    yield from _cycles(known)
    kinds = value_kinds(known)
    for definition in definitions:
        yield from ((definition, text) for text in _wrong_kinds(definition, kinds))


def value_kinds(known: Index) -> dict[Key, Kind | None]:
    """The kind of value of each aggregate and each expression; None where it rests on something at fault."""
    kinds: dict[Key, Kind | None] = {
        key: one.value_kind for key, one in known.items() if isinstance(one, Aggregate)
    }  # fmt: skip
    broken = {key for ring in cycles(known) for key in ring}
    for definition in known.values():
        if isinstance(definition, Expression) and _is_whole(definition, known, broken):
            for one in needed(definition, known):
                if isinstance(one, Expression):
                    kinds[key_of(one)] = kind_of_part(one.formula, kinds)
    return kinds


def _is_whole(definition: AnyDefinition, known: Index, broken: set[Key]) -> bool:
    waiting, seen = [key_of(definition)], set[Key]()
    while waiting:
        key = waiting.pop()
        if key in broken or key not in known:
            return False
        if key not in seen:
            seen.add(key)
            waiting += references(known[key])
    return True


def _reserved_names(definitions: Sequence[AnyDefinition]) -> Iterator[Fault]:
    for one in definitions:
        if one.name == "profile_id":
            yield one, "'profile_id' names the customer beside every value; choose another name"


def _names_given_twice(definitions: Sequence[AnyDefinition]) -> Iterator[Fault]:
    owners: dict[tuple[bool, str], AnyDefinition] = {}
    for one in definitions:
        first = owners.setdefault((isinstance(one, Segment), one.name), one)
        if first is not one:
            yield one, f"the name {one.name!r} is taken by another {first.kind}; choose another"


def _ids_given_twice(definitions: Sequence[AnyDefinition]) -> Iterator[Fault]:
    sharing = defaultdict(list)
    for one in definitions:
        sharing[one.id].append(one)
    for first, *others in sharing.values():
        for one in others:
            if key_of(one) != key_of(first):
                yield one, f"the id {one.id} is that of the {first.kind} {first.name!r}; each needs its own"


def _dangling(definition: AnyDefinition, known: Index) -> Iterator[str]:
    for key in references(definition):
        if key not in known:
            others = [one.kind for one in known if one.name == key.name and one.kind != key.kind]
            same_kind = (one.name for one in known if one.kind == key.kind)
            hint = f"it is an {others[0]}" if others else nearest(key.name, same_kind)
            yield f"refers to {key.name!r}, which is no {key.kind}; {hint}"


def _cycles(known: Index) -> Iterator[Fault]:
    for ring in cycles(known):
        path = " -> ".join(key.name for key in (*ring, ring[0]))
        yield known[ring[0]], f"rests on itself: {path}"


def _wrong_kinds(definition: AnyDefinition, kinds: Mapping[Key, Kind | None]) -> Iterator[str]:
    for formula in formulas(definition):
        yield from misfits(formula, kinds)
    if isinstance(definition, Segment):
        for one in every_condition(definition.where):
            if isinstance(one, Satisfies) and kind_of_part(one.formula, kinds) not in ("boolean", None):
                yield f"{in_words(one.formula)!r} is a {kind_of_part(one.formula, kinds)}; a condition is true or false"
