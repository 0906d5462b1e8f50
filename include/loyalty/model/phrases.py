"""Formulas in words, for whoever reads a definition and not its code."""

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
)
from loyalty.model.scalars import shown

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "equal": "=", "not_equal": "≠",
    "less": "<", "less_or_equal": "≤", "more": ">", "more_or_equal": "≥",
}  # fmt: skip
_CHOICES = {"min": "the lowest of", "max": "the highest of", "coalesce": "the first known of"}
_ROUNDINGS = {"abs": "the size of", "round": "rounded", "floor": "rounded down", "ceil": "rounded up"}


def in_words(part: Part) -> str:
    """The formula as a phrase."""
    match part:
        case Constant(value=value):
            return shown(value)
        case ValueOf(name=name):
            return name
        case Attribute(name=name):
            return f"the customer's {name}"
        case Now():
            return "now"
        case Arithmetic(type=sign) | Comparison(type=sign):
            return f"{_bracketed(part.left)} {_SIGNS[sign]} {_bracketed(part.right)}"
        case Logic(type=word):
            return f" {word} ".join(map(_bracketed, part.terms))
        case Not(term=term):
            return f"not {_bracketed(term)}"
        case _:
            return _function_in_words(part)


def _function_in_words(part: Part) -> str:
    match part:
        case If():
            condition, then, otherwise = map(in_words, (part.condition, part.then, part.otherwise))
            return f"if {condition} then {then}, otherwise {otherwise}"
        case Choice(type=word):
            return f"{_CHOICES[word]} ({', '.join(map(in_words, part.terms))})"
        case Rounding(type=word):
            decimals = f" to {part.digits} decimals" if part.digits else ""
            return f"{_ROUNDINGS[word]}{decimals} ({in_words(part.term)})"
        case Elapsed():
            return f"{part.unit} from {_bracketed(part.start)} to {_bracketed(part.end)}"
        case _:
            raise TypeError(f"no part of a formula: {part!r}")


def _bracketed(part: Part) -> str:
    simple = isinstance(part, Constant | ValueOf | Attribute | Now | Choice | Rounding)
    return in_words(part) if simple else f"({in_words(part)})"
