"""Formulas as columns; null follows the rules of the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Numeric, and_, case, cast, extract, func, literal, not_, null, or_

from loyalty.compile.filters import constant
from loyalty.compile.parameters import read
from loyalty.compile.periods import AS_OF
from loyalty.model.catalog import Catalog
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
from loyalty.model.references import Key

Column = ColumnElement[Any]


@dataclass(frozen=True)
class Scope:
    """What a formula may speak of: the values computed so far, the profile's attributes, the program's zone."""

    catalog: Catalog
    zone: str
    attributes: Column
    values: Mapping[Key, Column]


def formula_column(part: Part, scope: Scope) -> Column:
    """The value of the formula."""
    match part:
        case Constant(value=value):
            return constant(value)
        case ValueOf(type=kind, name=name):
            return scope.values[Key(kind, name)]
        case Attribute(name=name, kind=kind):
            return read(scope.attributes, name, kind, scope.zone)
        case Now():
            return AS_OF
        case Arithmetic():
            return _arithmetic(part, formula_column(part.left, scope), formula_column(part.right, scope))
        case Comparison():
            compared = _comparison(part, formula_column(part.left, scope), formula_column(part.right, scope))
            return func.coalesce(compared, False)
        case Logic(type="and", terms=terms):
            return and_(*(truth(term, scope) for term in terms))
        case Logic(terms=terms):
            return or_(*(truth(term, scope) for term in terms))
        case Not(term=term):
            return not_(truth(term, scope))
        case _:
            return _function(part, scope)


def truth(part: Part, scope: Scope) -> ColumnElement[bool]:
    """The value of a condition, null being false."""
    column = formula_column(part, scope)
    return func.coalesce(column, False) if scope.catalog.can_be_null(part) else column


def _arithmetic(part: Arithmetic, left: Column, right: Column) -> Column:
    match part.type:
        case "add":
            return left + right
        case "subtract":
            return left - right
        case "multiply":
            return _decimal(left) * right
        case "divide":
            return left / func.nullif(right, 0, type_=Numeric())


def _decimal(column: Column) -> Column:
    """Points are summed as whole numbers: these have an end, and PostgreSQL rounds them down as floats."""
    return column if isinstance(column.type, Numeric) else cast(column, Numeric)


def _comparison(part: Comparison, left: Column, right: Column) -> ColumnElement[bool]:
    match part.type:
        case "equal":
            return left == right
        case "not_equal":
            return left != right
        case "less":
            return left < right
        case "less_or_equal":
            return left <= right
        case "more":
            return left > right
        case "more_or_equal":
            return left >= right


def _function(part: Part, scope: Scope) -> Column:
    match part:
        case If(condition=condition, then=then, otherwise=otherwise):
            return case((truth(condition, scope), formula_column(then, scope)), else_=formula_column(otherwise, scope))
        case Choice():
            return _choice(part, scope)
        case Rounding():
            return _rounding(part, formula_column(part.term, scope))
        case Elapsed():
            return _elapsed(part, formula_column(part.start, scope), formula_column(part.end, scope), scope.zone)
    raise TypeError(f"no part of a formula: {part!r}")


def _choice(part: Choice, scope: Scope) -> Column:
    terms = [formula_column(term, scope) for term in part.terms]
    if part.type == "coalesce":
        return func.coalesce(*terms)
    extreme = func.least if part.type == "min" else func.greatest
    chosen = extreme(*terms, type_=terms[0].type)
    nullable = [column for term, column in zip(part.terms, terms, strict=True) if scope.catalog.can_be_null(term)]
    return case((or_(*(column.is_(None) for column in nullable)), null()), else_=chosen) if nullable else chosen


def _rounding(part: Rounding, term: Column) -> Column:
    if part.type == "abs":
        return func.abs(term, type_=term.type)
    if part.type == "round":
        return func.round(term, literal(part.digits, Integer()), type_=Numeric())
    whole, term = func.floor if part.type == "floor" else func.ceil, _decimal(term)
    if part.digits == 0:
        return whole(term, type_=Numeric())
    shift = constant(10**part.digits)
    return func.round(whole(term * shift, type_=Numeric()) / shift, literal(part.digits, Integer()), type_=Numeric())


def _elapsed(part: Elapsed, start: Column, end: Column, zone: str) -> Column:
    if part.unit == "hours":
        return extract("epoch", end - start) / constant(3_600)
    return extract("epoch", func.timezone(zone, end) - func.timezone(zone, start)) / constant(86_400)
