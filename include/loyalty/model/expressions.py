"""Expressions: named formulas, and the words that build them in Python."""

from typing import Any, ClassVar, Literal

from loyalty.model.definition import Definition
from loyalty.model.formulas import Attribute, Choice, Elapsed, Formula, If, Now, Operand, Rounding, ValueOf
from loyalty.model.phrases import in_words
from loyalty.model.scalars import Kind


class Expression(Operand, Definition):
    """The value of a formula, for each profile."""

    kind: ClassVar[str] = "expression"

    formula: Formula

    def formula_part(self) -> Formula:
        """How another formula refers to it."""
        return ValueOf(type="expression", name=self.name)

    def describe(self) -> str:
        """The formula in words."""
        return in_words(self.formula)


def when(condition: Any, then: Any, *, otherwise: Any) -> If:
    """``then`` where the condition holds, else ``otherwise``."""
    return If(condition=condition, then=then, otherwise=otherwise)


def lowest(*terms: Any) -> Choice:
    """The lowest of the terms."""
    return Choice(type="min", terms=terms)


def highest(*terms: Any) -> Choice:
    """The highest of the terms."""
    return Choice(type="max", terms=terms)


def first_known(*terms: Any) -> Choice:
    """The first of the terms that is not null."""
    return Choice(type="coalesce", terms=terms)


def size_of(term: Any) -> Rounding:
    """The term without its sign."""
    return Rounding(type="abs", term=term)


def rounded(term: Any, digits: int = 0) -> Rounding:
    """The term rounded, half away from zero."""
    return Rounding(type="round", term=term, digits=digits)


def rounded_down(term: Any, digits: int = 0) -> Rounding:
    """The term rounded down."""
    return Rounding(type="floor", term=term, digits=digits)


def rounded_up(term: Any, digits: int = 0) -> Rounding:
    """The term rounded up."""
    return Rounding(type="ceil", term=term, digits=digits)


def now() -> Now:
    """The as-of instant."""
    return Now()


def elapsed(start: Any, end: Any = None, *, unit: Literal["hours", "days"] = "days") -> Elapsed:
    """The time from ``start`` to ``end``, or to now."""
    return Elapsed(start=start, end=Now() if end is None else end, unit=unit)


def attribute(name: str, reads: Kind = "number") -> Attribute:
    """What is known of the profile under this name."""
    return Attribute(name=name, kind=reads)
