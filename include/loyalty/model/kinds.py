"""What kind of value a formula has, and where a part of it does not fit."""

from collections.abc import Iterator, Mapping

from loyalty.model.formulas import (
    Arithmetic,
    Attribute,
    Choice,
    Comparison,
    Constant,
    Elapsed,
    If,
    Logic,
    Not,
    Now,
    Part,
    Rounding,
    ValueOf,
    children,
    every_part,
)
from loyalty.model.phrases import in_words
from loyalty.model.references import Key
from loyalty.model.scalars import Kind, kind_of

Known = Mapping[Key, Kind | None]
_PLURAL: dict[Kind, str] = {"number": "numbers", "text": "texts", "time": "times", "boolean": "true or false"}
_ORDERED: tuple[Kind, ...] = ("number", "time")
_ALL_KINDS: tuple[Kind, ...] = ("number", "text", "time", "boolean")


def kind_of_part(part: Part, known: Known) -> Kind | None:
    """What kind of value the part has; None where that hangs on a definition that is itself at fault."""
    match part:
        case Constant(value=value):
            return kind_of(value)
        case ValueOf(type=kind, name=name):
            return known.get(Key(kind, name))
        case Attribute(kind=kind):
            return kind
        case Now():
            return "time"
        case Comparison() | Logic() | Not():
            return "boolean"
        case If(then=then, otherwise=otherwise):
            return kind_of_part(then, known) or kind_of_part(otherwise, known)
        case Choice(terms=terms):
            return next((kind for kind in (kind_of_part(term, known) for term in terms) if kind), None)
        case _:
            return "number"


def misfits(formula: Part, known: Known) -> Iterator[str]:
    """One sentence for each part that is given a kind of value it does not take."""
    for part in every_part(formula):
        if isinstance(part, If):
            yield from _wrong(part, (part.condition,), ("boolean",), known)
            yield from _mixed(part, (part.then, part.otherwise), known)
        else:
            yield from _wrong(part, children(part), _takes(part), known)
            if isinstance(part, Comparison | Choice):
                yield from _mixed(part, children(part), known)


def _takes(part: Part) -> tuple[Kind, ...]:
    match part:
        case Arithmetic() | Rounding():
            return ("number",)
        case Logic() | Not():
            return ("boolean",)
        case Elapsed():
            return ("time",)
        case Comparison(type=sign) | Choice(type=sign) if sign not in ("equal", "not_equal", "coalesce"):
            return _ORDERED
        case _:
            return _ALL_KINDS


def _wrong(part: Part, terms: tuple[Part, ...], takes: tuple[Kind, ...], known: Known) -> Iterator[str]:
    for term in terms:
        kind = kind_of_part(term, known)
        if kind and kind not in takes:
            wanted = " or ".join(_PLURAL[one] for one in takes)
            yield f"in {in_words(part)!r}, {in_words(term)!r} is a {kind}; {part_name(part)!r} takes {wanted}"


def _mixed(part: Part, terms: tuple[Part, ...], known: Known) -> Iterator[str]:
    kinds = dict.fromkeys(kind for kind in (kind_of_part(term, known) for term in terms) if kind)
    if len(kinds) > 1:
        yield f"in {in_words(part)!r}, {part_name(part)!r} mixes {' and '.join(kinds)}; all must be of one kind"


def part_name(part: Part) -> str:
    """The key by which a document names this kind of part."""
    return str(getattr(part, "type", ""))
