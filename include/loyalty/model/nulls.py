"""Where a formula can turn null, in words."""

from collections.abc import Iterator, Mapping

from loyalty.model.aggregates import NEVER_NULL, Aggregate
from loyalty.model.expressions import Expression
from loyalty.model.formulas import (
    Arithmetic,
    Attribute,
    Choice,
    Comparison,
    Constant,
    If,
    Logic,
    Not,
    Part,
    ValueOf,
    children,
)
from loyalty.model.phrases import in_words
from loyalty.model.references import AnyDefinition, Key


def null_reasons(part: Part, known: Mapping[Key, AnyDefinition]) -> tuple[str, ...]:
    """Why the part can be null, one reason each; empty where it never is."""
    return tuple(dict.fromkeys(_reasons(part, known)))


def _reasons(part: Part, known: Mapping[Key, AnyDefinition]) -> Iterator[str]:
    match part:
        case Comparison() | Logic() | Not():
            return
        case Attribute(name=name):
            yield f"the customer's {name} may be unknown"
        case ValueOf():
            yield from _reasons_of_named(known.get(Key(part.type, part.name)), known)
        case Choice(type="coalesce", terms=terms):
            yield from _reasons_of_all(terms, known)
        case If(then=then, otherwise=otherwise):
            yield from _reasons(then, known)
            yield from _reasons(otherwise, known)
        case _:
            yield from _division_by_zero(part)
            for child in children(part):
                yield from _reasons(child, known)


def _reasons_of_named(definition: AnyDefinition | None, known: Mapping[Key, AnyDefinition]) -> Iterator[str]:
    if isinstance(definition, Aggregate) and definition.function not in NEVER_NULL:
        yield f"{definition.name} ({definition.function}) is null over no events"
    if isinstance(definition, Expression) and null_reasons(definition.formula, known):
        yield f"{definition.name} can itself be null"


def _reasons_of_all(terms: tuple[Part, ...], known: Mapping[Key, AnyDefinition]) -> Iterator[str]:
    reasons = [null_reasons(term, known) for term in terms]
    if all(reasons):
        yield from (reason for some in reasons for reason in some)


def _division_by_zero(part: Part) -> Iterator[str]:
    if isinstance(part, Arithmetic) and part.type == "divide":
        divisor = part.right
        if not (isinstance(divisor, Constant) and divisor.value != 0):
            yield f"division by zero is null, and {in_words(divisor)!r} may be zero"
