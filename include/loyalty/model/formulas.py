"""The parts of a formula, and the operators by which Python reads like the rule it states."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BeforeValidator, Field, StrictInt

from loyalty.model.frozen import Frozen, Slug
from loyalty.model.scalars import Kind, ScalarField

ArithmeticSign = Literal["add", "subtract", "multiply", "divide"]
ComparisonSign = Literal["equal", "not_equal", "less", "less_or_equal", "more", "more_or_equal"]


class Operand(Frozen):
    """Something with a value: an operator makes a formula of it (but ``==`` compares; the formula is ``equals``)."""

    @abstractmethod
    def formula_part(self) -> "Formula":
        """How a formula refers to it."""

    def __bool__(self) -> NoReturn:
        raise TypeError("a formula has no truth value in Python; use & | ~ and when(), and no chains like 0 < x < 5")

    def __add__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="add", left=self, right=other)

    def __radd__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="add", left=other, right=self)

    def __sub__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="subtract", left=self, right=other)

    def __rsub__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="subtract", left=other, right=self)

    def __mul__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="multiply", left=self, right=other)

    def __rmul__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="multiply", left=other, right=self)

    def __truediv__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="divide", left=self, right=other)

    def __rtruediv__(self, other: Any) -> "Arithmetic":
        return Arithmetic(type="divide", left=other, right=self)

    def __lt__(self, other: Any) -> "Comparison":
        return Comparison(type="less", left=self, right=other)

    def __le__(self, other: Any) -> "Comparison":
        return Comparison(type="less_or_equal", left=self, right=other)

    def __gt__(self, other: Any) -> "Comparison":
        return Comparison(type="more", left=self, right=other)

    def __ge__(self, other: Any) -> "Comparison":
        return Comparison(type="more_or_equal", left=self, right=other)

    def equals(self, other: Any) -> "Comparison":
        """The condition that both have the same value."""
        return Comparison(type="equal", left=self, right=other)

    def differs(self, other: Any) -> "Comparison":
        """The condition that both have a value, and not the same one."""
        return Comparison(type="not_equal", left=self, right=other)

    def __and__(self, other: Any) -> "Logic":
        return Logic(type="and", terms=(self, other)) if _may_stand_in_formulas(other) else NotImplemented

    def __or__(self, other: Any) -> "Logic":
        return Logic(type="or", terms=(self, other)) if _may_stand_in_formulas(other) else NotImplemented

    def __invert__(self) -> "Not":
        return Not(term=self)


class Part(Operand):
    """One node of a formula."""

    def formula_part(self) -> "Formula":
        """Itself."""
        return self  # type: ignore[return-value]


class Constant(Part):
    """A number, a text, a time, or true or false."""

    type: Literal["constant"] = "constant"
    value: ScalarField


class ValueOf(Part):
    """The value of an aggregate, or of another expression."""

    type: Literal["aggregate", "expression"]
    name: Slug


class Attribute(Part):
    """What is known of the profile under this name, read as ``kind``; null where it is not of that kind."""

    type: Literal["attribute"] = "attribute"
    name: str = Field(min_length=1)
    kind: Kind = "number"


class Now(Part):
    """The as-of instant."""

    type: Literal["now"] = "now"


class Arithmetic(Part):
    """Null if a side is null; division by zero is null."""

    type: ArithmeticSign
    left: "Formula"
    right: "Formula"


class Comparison(Part):
    """True or false; false if a side is null."""

    type: ComparisonSign
    left: "Formula"
    right: "Formula"


class Logic(Part):
    """All of the terms, or any of them; null is false."""

    type: Literal["and", "or"]
    terms: tuple["Formula", ...] = Field(min_length=1)


class Not(Part):
    """True where the term is false or null."""

    type: Literal["not"] = "not"
    term: "Formula"


class If(Part):
    """One value where the condition holds, another where it is false or null."""

    type: Literal["if"] = "if"
    condition: "Formula"
    then: "Formula"
    otherwise: "Formula"


class Choice(Part):
    """The lowest or the highest term (null if one is null), or the first that is not null."""

    type: Literal["min", "max", "coalesce"]
    terms: tuple["Formula", ...] = Field(min_length=1)


class Rounding(Part):
    """The term without its sign, or rounded to ``digits`` decimals: half away from zero, down, or up."""

    type: Literal["abs", "round", "floor", "ceil"]
    term: "Formula"
    digits: Annotated[StrictInt, Field(ge=0, le=20)] = 0


class Elapsed(Part):
    """Hours that passed, or days of the program's calendar, from ``start`` to ``end``, with their fraction."""

    type: Literal["elapsed"] = "elapsed"
    start: "Formula"
    end: "Formula" = Field(default_factory=Now)
    unit: Literal["hours", "days"] = "days"


def _may_stand_in_formulas(value: Any) -> bool:
    """Other models of ours, such as conditions of a segment, know themselves how to join a formula."""
    return isinstance(value, Operand) or not isinstance(value, Frozen)


def formula_of(value: Any) -> Any:
    """Whatever may stand in a formula, as a part of one; a mapping is left to validation."""
    if isinstance(value, Operand):
        return value.formula_part()
    return Constant(value=value) if not isinstance(value, dict) else value


Formula = Annotated[
    Constant | ValueOf | Attribute | Now | Arithmetic | Comparison | Logic | Not | If | Choice | Rounding | Elapsed,
    Field(discriminator="type"),
    BeforeValidator(formula_of),
]

for _part in (Arithmetic, Comparison, Logic, Not, If, Choice, Rounding, Elapsed):
    _part.model_rebuild()


def children(part: Part) -> tuple[Part, ...]:
    """The parts right below this one."""
    values = [getattr(part, name) for name in type(part).model_fields]
    flat = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    return tuple(one for one in flat if isinstance(one, Part))


def every_part(part: Part) -> Iterator[Part]:
    """The part and all below it, outermost first."""
    yield part
    for child in children(part):
        yield from every_part(child)
