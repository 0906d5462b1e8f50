"""Segments: the profiles that satisfy conditions."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StrictInt

from loyalty.model.aggregates import EventChoice
from loyalty.model.definition import Definition
from loyalty.model.filters import Filter
from loyalty.model.formulas import Formula, Operand
from loyalty.model.frozen import Frozen, Slug
from loyalty.model.phrases import in_words


class Condition(Frozen):
    """Something that holds for a profile or does not."""

    def __and__(self, other: Any) -> "AllOf":
        return AllOf(terms=(self, other))

    def __or__(self, other: Any) -> "AnyOf":
        return AnyOf(terms=(self, other))

    def __rand__(self, other: Any) -> "AllOf":
        return AllOf(terms=(other, self))

    def __ror__(self, other: Any) -> "AnyOf":
        return AnyOf(terms=(other, self))

    def __invert__(self) -> "Unless":
        return Unless(term=self)

    @abstractmethod
    def describe(self) -> str:
        """The condition in words."""


class Happened(Condition, EventChoice):
    """The chosen events happened, at least so many times."""

    type: Literal["happened"] = "happened"
    at_least: Annotated[StrictInt, Field(ge=1)] = 1

    def describe(self) -> str:
        """The condition in words."""
        times = f" at least {self.at_least} times" if self.at_least > 1 else ""
        return f"happened{times}: {self.describe_events()}"


class AttributeIs(Condition):
    """An attribute of the profile compares as the filter says; the filter's parameter is the attribute's name."""

    type: Literal["attribute"] = "attribute"
    filter: Filter

    def describe(self) -> str:
        """The condition in words."""
        return f"the customer's {self.filter.describe()}"


class Tagged(Condition):
    """The profile carries the tag."""

    type: Literal["tag"] = "tag"
    tag: str = Field(min_length=1)

    def describe(self) -> str:
        """The condition in words."""
        return f"tagged {self.tag}"


class Satisfies(Condition):
    """A formula that is true or false holds."""

    type: Literal["satisfies"] = "satisfies"
    formula: Formula

    def describe(self) -> str:
        """The condition in words."""
        return in_words(self.formula)


class InSegment(Condition):
    """The profile belongs to another segment."""

    type: Literal["segment"] = "segment"
    name: Slug

    def describe(self) -> str:
        """The condition in words."""
        return f"in the segment {self.name}"


class Unsettled(Condition):
    """The account has a midnight to settle, up to the as-of day or a later one that is settled already."""

    type: Literal["unsettled"] = "unsettled"

    def describe(self) -> str:
        """The condition in words."""
        return "has a midnight to settle"


class AllOf(Condition):
    """Every term holds."""

    type: Literal["all"] = "all"
    terms: tuple["Where", ...] = Field(min_length=1)

    def describe(self) -> str:
        """The condition in words."""
        return " and ".join(f"({term.describe()})" for term in self.terms)


class AnyOf(Condition):
    """At least one term holds."""

    type: Literal["any"] = "any"
    terms: tuple["Where", ...] = Field(min_length=1)

    def describe(self) -> str:
        """The condition in words."""
        return " or ".join(f"({term.describe()})" for term in self.terms)


class Unless(Condition):
    """The term does not hold."""

    type: Literal["not"] = "not"
    term: "Where"

    def describe(self) -> str:
        """The condition in words."""
        return f"not ({self.term.describe()})"


def condition_of(value: Any) -> Any:
    """A formula, or a segment, as a condition."""
    if isinstance(value, Segment):
        return InSegment(name=value.name)
    return Satisfies(formula=value.formula_part()) if isinstance(value, Operand) else value


Where = Annotated[
    Happened | AttributeIs | Tagged | Satisfies | InSegment | Unsettled | AllOf | AnyOf | Unless,
    Field(discriminator="type"),
    BeforeValidator(condition_of),
]


class Segment(Definition):
    """The profiles for which ``where`` holds."""

    kind: ClassVar[str] = "segment"

    where: Where

    def describe(self) -> str:
        """The condition in words."""
        return self.where.describe()


for _condition in (AllOf, AnyOf, Unless, Segment):
    _condition.model_rebuild()


def happened(*actions: str, at_least: int = 1, **choice: Any) -> Happened:
    """The condition that such events happened; ``where``, ``period`` and ``refers_to`` choose among them."""
    return Happened(actions=actions, at_least=at_least, **choice)


def did_not_happen(*actions: str, **choice: Any) -> Unless:
    """The condition that no such event happened."""
    return Unless(term=happened(*actions, **choice))


def nested(condition: Condition) -> tuple[Condition, ...]:
    """The conditions right below this one."""
    match condition:
        case AllOf(terms=terms) | AnyOf(terms=terms):
            return terms
        case Unless(term=term):
            return (term,)
        case _:
            return ()
