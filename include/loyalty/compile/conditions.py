"""Conditions of a segment as columns that are true or false."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, cast, func, not_, or_

from loyalty.compile.filters import filter_clause
from loyalty.compile.formulas import Scope, truth
from loyalty.compile.periods import AS_OF, SETTLED_THROUGH
from loyalty.model.catalog import Catalog
from loyalty.model.segments import (
    AllOf,
    AnyOf,
    AttributeIs,
    Condition,
    Happened,
    InSegment,
    Satisfies,
    Tagged,
    Unless,
    Unsettled,
)
from loyalty.store.tables import account, profile

Counts = Mapping[Happened, ColumnElement[Any]]


def spelled_out(condition: Any, catalog: Catalog) -> Any:
    """The condition with every segment that it names replaced by that segment's own condition."""
    match condition:
        case InSegment(name=name):
            return spelled_out(catalog.segment(name).where, catalog)
        case AllOf(terms=terms):
            return AllOf(terms=tuple(spelled_out(term, catalog) for term in terms))
        case AnyOf(terms=terms):
            return AnyOf(terms=tuple(spelled_out(term, catalog) for term in terms))
        case Unless(term=term):
            return Unless(term=spelled_out(term, catalog))
        case _:
            return condition


def condition_column(condition: Condition, scope: Scope, counts: Counts) -> ColumnElement[bool]:
    """Whether the condition holds; null, which only an account with nothing to settle gives, means that it does not."""
    match condition:
        case AllOf(terms=terms):
            return and_(*(condition_column(term, scope, counts) for term in terms))
        case AnyOf(terms=terms):
            return or_(*(condition_column(term, scope, counts) for term in terms))
        case Unless(term=term):
            return not_(func.coalesce(condition_column(term, scope, counts), False))
        case Happened(at_least=at_least):
            return counts[condition] >= at_least
        case Satisfies(formula=formula):
            return truth(formula, scope)
        case AttributeIs(filter=one):
            return filter_clause(profile.c.attributes, one, scope.zone)
        case Tagged(tag=tag):
            return profile.c.tags.contains([tag])
        case Unsettled():
            return account.c.settle_on <= func.greatest(cast(func.timezone(scope.zone, AS_OF), Date), SETTLED_THROUGH)
    raise TypeError(f"no condition: {condition!r}")
