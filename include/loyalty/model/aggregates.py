"""One value per profile from its events."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from loyalty.model.definition import Definition
from loyalty.model.filters import Filter
from loyalty.model.formulas import Formula, Operand, ValueOf
from loyalty.model.frozen import Frozen
from loyalty.model.periods import Lifetime, Period
from loyalty.model.scalars import Kind

Function = Literal[
    "sum", "count", "min", "max", "average", "first", "last", "exists", "distinct_count", "median", "quantile"
]
OCCURRED_AT = "$occurredAt"
NEVER_NULL: frozenset[Function] = frozenset({"sum", "count", "exists", "distinct_count"})
_OF_ANY_KIND: frozenset[Function] = frozenset({"first", "last", "distinct_count"})
_OF_AN_ORDER: frozenset[Function] = frozenset({"min", "max"})


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Actions = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1), BeforeValidator(_several)
]  # fmt: skip


class EventReference(Frozen):
    """Keeps the events that name, in refers_to, an event of one of these actions; ``absent`` keeps all the others."""

    actions: Actions
    where: tuple[Filter, ...] = ()
    period: Period = Lifetime()
    absent: bool = False

    def describe(self) -> str:
        """The condition in words."""
        verb = "that refer to no" if self.absent else "that refer to"
        return f"{verb} {_events(self.actions, self.where)}{_when(self.period)}"


class EventChoice(Frozen):
    """Which events count: those of any of the actions that pass every filter and lie in the period."""

    actions: Actions
    where: tuple[Filter, ...] = ()
    period: Period = Lifetime()
    refers_to: EventReference | None = None

    def describe_events(self) -> str:
        """The events in words."""
        reference = f" {self.refers_to.describe()}" if self.refers_to else ""
        return f"{_events(self.actions, self.where)}{reference}{_when(self.period)}"


class Aggregate(Operand, EventChoice, Definition):
    """``function`` over a parameter of the chosen events; $occurredAt stands for the time of the event itself."""

    kind: ClassVar[str] = "aggregate"

    function: Function
    parameter: Annotated[str, Field(min_length=1)] | None = None
    reads: Kind | None = Field(default=None, description="as what the parameter is read; by default as a number")
    q: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _parameter_fits_the_function(self) -> Self:
        takes_none = self.function in ("count", "exists")
        if takes_none and self.parameter is not None:
            raise ValueError(f"{self.function!r} takes no parameter; use the filter 'exists' for events that have one")
        if not takes_none and self.parameter is None:
            raise ValueError(f"{self.function!r} takes a parameter")
        if (self.function == "quantile") != (self.q is not None):
            raise ValueError("'quantile', and only it, takes q between 0 and 1")
        return self

    @model_validator(mode="after")
    def _reads_what_the_function_takes(self) -> Self:
        if self.function in _OF_ANY_KIND or self.parameter_kind == "number":
            return self
        if self.function in _OF_AN_ORDER and self.parameter_kind == "time":
            return self
        raise ValueError(f"{self.function!r} does not take a parameter that reads as {self.parameter_kind}")

    @property
    def parameter_kind(self) -> Kind:
        """As what the parameter is read."""
        return self.reads or ("time" if self.parameter == OCCURRED_AT else "number")

    @property
    def value_kind(self) -> Kind:
        """What kind of value it has."""
        if self.function == "exists":
            return "boolean"
        return self.parameter_kind if self.function in ("min", "max", "first", "last") else "number"

    def formula_part(self) -> Formula:
        """How a formula refers to it."""
        return ValueOf(type="aggregate", name=self.name)

    def describe(self) -> str:
        """The aggregate in words."""
        function = f"{self.q:g} quantile" if self.function == "quantile" else self.function.replace("_", " ")
        parameter = f" of {self.parameter}" if self.parameter else ""
        return f"{function}{parameter} over {self.describe_events()}"


def _events(actions: tuple[str, ...], where: tuple[Filter, ...]) -> str:
    conditions = " and ".join(one.describe() for one in where)
    return " or ".join(actions) + (f" where {conditions}" if conditions else "")


def _when(period: Period) -> str:
    return "" if period == Lifetime() else f", {period.describe()}"
