"""Segments as one statement: the cheap conditions first, then the events of the profiles that are left."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, select, union

from loyalty.compile.conditions import condition_column, spelled_out
from loyalty.compile.events import chosen
from loyalty.compile.expressions import Profiles, values_needed
from loyalty.compile.sources import Source
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog, Value
from loyalty.model.formulas import Attribute, every_part
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition, every_condition, formulas, key_of
from loyalty.model.segments import AllOf, AnyOf, AttributeIs, Condition, Happened, Segment, Tagged, Unsettled
from loyalty.store.tables import account, event, profile


def compile_segment(
    catalog: Catalog,
    program: Program,
    segment: Segment,
    values: Sequence[Value] = (),
    *,
    profiles: Profiles | None = None,
) -> Select[Any]:
    """Selects the profile_id of every profile of the segment, once, and the values beside it; bind: ``as_of``.

    Few are left by the given profiles, each named once, by an index or a cheap condition, else by events that
    happened; only theirs are aggregated then.
    """
    conjuncts = list(_conjuncts(spelled_out(segment.where, catalog)))
    cheap = profiles is not None or any(map(_narrows, conjuncts))
    start = None if cheap else next(filter(_only_happened, conjuncts), None)
    others = [one for one in conjuncts if one is not start]
    found = _found(start, program) if start is not None else None
    first = found if profiles is None else profiles.subquery("named")
    source = Source(catalog, program, *_base(catalog, [segment, *values], others, first))
    counts = _add_values(source, [segment, *values], others, narrow=cheap or start is not None)
    conditions = [condition_column(one, source.scope, counts) for one in others]
    columns = [source.values[key_of(one)].label(one.name) for one in values]
    return select(source.profile_id, *columns).select_from(source.rows).where(*conditions)


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, AllOf):
        for term in condition.terms:
            yield from _conjuncts(term)
    else:
        yield condition


def _narrows(condition: Condition) -> bool:
    """Whether it leaves few profiles and costs little."""
    if isinstance(condition, AnyOf):
        return all(map(_narrows, condition.terms))
    if isinstance(condition, AllOf):
        return any(map(_narrows, condition.terms))
    return isinstance(condition, Unsettled | Tagged | AttributeIs)


def _only_happened(condition: Condition) -> bool:
    terms = condition.terms if isinstance(condition, AnyOf) else (condition,)
    return all(isinstance(term, Happened) for term in terms)


def _base(
    catalog: Catalog,
    definitions: Sequence[AnyDefinition],
    others: Sequence[Condition],
    first: FromClause | None,
) -> tuple[FromClause, ColumnElement[int]]:
    """The tables that the cheap conditions need, led by ``first``, or else by the one that leaves the fewest rows."""
    leaves = [leaf for one in others for leaf in every_condition(one)]
    wanted: list[FromClause] = [] if first is None else [first]
    if any(isinstance(leaf, Unsettled) for leaf in leaves):
        wanted.append(account)
    if not wanted or _reads_profile(catalog, definitions, leaves):
        wanted.append(profile)
    rows, *joined = wanted
    profile_id = rows.c.profile_id
    for table in joined:
        rows = rows.join(table, table.c.profile_id == profile_id)
    return rows, profile_id


def _reads_profile(catalog: Catalog, definitions: Sequence[AnyDefinition], leaves: Sequence[Condition]) -> bool:
    known = dict.fromkeys(part for one in definitions for part in catalog.parts(one))
    parts = [part for one in known for formula in formulas(one) for part in every_part(formula)]
    return any(isinstance(one, AttributeIs | Tagged | Attribute) for one in [*leaves, *parts])


def _found(start: Condition, program: Program) -> FromClause:
    """The profiles for which such events happened, from one look at the events."""
    terms = start.terms if isinstance(start, AnyOf) else (start,)
    selects = [_profiles_of(term, program) for term in terms if isinstance(term, Happened)]
    return (selects[0] if len(selects) == 1 else union(*selects)).subquery("found")


def _profiles_of(happened: Happened, program: Program) -> Select[Any]:
    events = event.alias("e")
    profiles = select(events.c.profile_id).where(chosen(events, happened, program)).group_by(events.c.profile_id)
    return profiles if happened.at_least == 1 else profiles.having(func.count() >= happened.at_least)


def _add_values(
    source: Source, definitions: Sequence[AnyDefinition], conditions: Sequence[Condition], *, narrow: bool
) -> dict[Happened, ColumnElement[int]]:
    """All aggregates and counts of events, in one pass, and the expressions; returns the counts."""
    parts = values_needed(source.catalog, definitions)
    leaves = dict.fromkeys(leaf for one in conditions for leaf in every_condition(one) if isinstance(leaf, Happened))
    labels = {happened: f"_happened_{at}" for at, happened in enumerate(leaves, start=1)}
    wanted = {one.name: one for one in parts if isinstance(one, Aggregate)}
    counted = {label: _count(happened) for happened, label in labels.items()}
    columns = source.add_facts({**wanted, **counted}, narrow=narrow)
    source.values.update({key_of(one): columns[name] for name, one in wanted.items()})
    source.add_values(parts)
    return {happened: columns[label] for happened, label in labels.items()}


def _count(happened: Happened) -> Aggregate:
    return Aggregate(
        name="count",
        function="count",
        actions=happened.actions,
        where=happened.where,
        period=happened.period,
        refers_to=happened.refers_to,
    )
