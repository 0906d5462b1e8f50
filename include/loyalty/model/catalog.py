"""All definitions of a program, checked together."""

from collections.abc import Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from pydantic import JsonValue

from loyalty.errors import Faults, LoyaltyError, nearest
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog_checks import catalog_faults, value_kinds
from loyalty.model.expressions import Expression
from loyalty.model.formulas import Part
from loyalty.model.frozen import fingerprint_of
from loyalty.model.nulls import null_reasons
from loyalty.model.references import AnyDefinition, Key, key_of, needed
from loyalty.model.scalars import Kind
from loyalty.model.segments import Segment

Value = Aggregate | Expression
D = TypeVar("D", bound=AnyDefinition)


class Catalog:
    """Definitions that name only one another, in no ring, with fitting kinds; Faults lists everything else at once.

    Aggregates and expressions share one space of names, segments have their own. ``places`` says where a definition
    was written, for the faults.
    """

    def __init__(self, definitions: Iterable[AnyDefinition], places: Mapping[int, str] | None = None) -> None:
        given = tuple(definitions)
        faults = [f"{_place(one, places or {})}: {text}" for one, text in catalog_faults(given)]
        if faults:
            raise Faults(dict.fromkeys(faults))
        self._known: dict[Key, AnyDefinition] = {key_of(one): one for one in given}
        self._kinds = value_kinds(self._known)

    @classmethod
    def from_json(cls, value: Mapping[str, JsonValue]) -> "Catalog":
        """The catalog that printed itself like this."""
        models: dict[str, type[AnyDefinition]] = {
            "aggregates": Aggregate, "expressions": Expression, "segments": Segment,
        }  # fmt: skip
        lists = {key: found if isinstance(found := value.get(key), list) else [] for key in models}
        return cls(models[key].model_validate(one) for key, some in lists.items() for one in some)

    @property
    def definitions(self) -> tuple[AnyDefinition, ...]:
        """All of them, in the order given."""
        return tuple(self._known.values())

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """The aggregates, in the order given."""
        return tuple(one for one in self.definitions if isinstance(one, Aggregate))

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions, in the order given."""
        return tuple(one for one in self.definitions if isinstance(one, Expression))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments, in the order given."""
        return tuple(one for one in self.definitions if isinstance(one, Segment))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where an expression can turn null without a default."""
        return tuple(
            f"the expression {one.name!r} can be null: {'; '.join(reasons)}. Give it a default with coalesce"
            for one in self.expressions
            if (reasons := null_reasons(one.formula, self._known))
        )

    def find(self, name: str | UUID) -> tuple[AnyDefinition, ...]:
        """The definitions of this name or id: mostly one; a value and a segment may share a name."""
        return _found(self.definitions, name, "definition")

    def value(self, name: str | UUID) -> Value:
        """The aggregate or expression of this name or id."""
        values: tuple[Value, ...] = (*self.aggregates, *self.expressions)
        return _found(values, name, "aggregate or expression")[0]

    def segment(self, name: str | UUID) -> Segment:
        """The segment of this name or id."""
        return _found(self.segments, name, "segment")[0]

    def kind_of(self, value: Value) -> Kind:
        """What kind of value it has."""
        kind = self._kinds[key_of(value)]
        assert kind is not None, "a checked formula has a kind"
        return kind

    def can_be_null(self, part: Part) -> bool:
        """Whether the part of a formula is null for some profile."""
        return bool(null_reasons(part, self._known))

    def parts(self, definition: AnyDefinition) -> tuple[AnyDefinition, ...]:
        """Everything the definition rests on, itself last, each after what it rests on."""
        return needed(definition, self._known)

    def to_json(self) -> dict[str, JsonValue]:
        """All definitions, by kind and name."""
        return {
            "aggregates": _by_name(self.aggregates),
            "expressions": _by_name(self.expressions),
            "segments": _by_name(self.segments),
        }

    def fingerprint(self) -> str:
        """The hash of all definitions, whatever their order."""
        return fingerprint_of(self.to_json())


def _found(among: tuple[D, ...], name: str | UUID, kind: str) -> tuple[D, ...]:
    found = tuple(one for one in among if str(name) in (one.name, str(one.id)))
    if not found:
        raise LoyaltyError(f"{name!s} is no {kind}; {nearest(str(name), (one.name for one in among))}")
    return found


def _by_name(definitions: Iterable[AnyDefinition]) -> list[JsonValue]:
    return [one.to_json() for one in sorted(definitions, key=lambda one: one.name)]


def _place(definition: AnyDefinition, places: Mapping[int, str]) -> str:
    named = f"{definition.kind} {definition.name!r}"
    return f"{places[id(definition)]}: {named}" if id(definition) in places else named
