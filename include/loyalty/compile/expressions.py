"""Aggregates and expressions as one statement over profiles."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select

from loyalty.compile.sources import Source
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog, Value
from loyalty.model.expressions import Expression
from loyalty.model.formulas import Attribute, every_part
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition, key_of
from loyalty.model.segments import Segment
from loyalty.store.tables import profile

Profiles = Select[Any]


def compile_expression(
    catalog: Catalog, program: Program, expression: Value, *, profiles: Profiles | None = None
) -> Select[Any]:
    """Selects (profile_id, value) for the given profiles, each named once, or for all; bind: ``as_of``."""
    source = _source(catalog, program, [expression], profiles)
    return select(source.profile_id, source.values[key_of(expression)].label("value")).select_from(source.rows)


def compile_aggregate(
    catalog: Catalog, program: Program, aggregate: Aggregate, *, profiles: Profiles | None = None
) -> Select[Any]:
    """Selects (profile_id, value) for the given profiles, each named once, or for all; bind: ``as_of``."""
    return compile_expression(catalog, program, aggregate, profiles=profiles)


def compile_values(
    catalog: Catalog, program: Program, definitions: Sequence[Value], *, profiles: Profiles | None = None
) -> Select[Any]:
    """Selects profile_id and one column per definition, under its name; bind: ``as_of``."""
    source = _source(catalog, program, definitions, profiles)
    columns = [source.values[key_of(one)].label(one.name) for one in definitions]
    return select(source.profile_id, *columns).select_from(source.rows)


def values_needed(catalog: Catalog, definitions: Iterable[AnyDefinition]) -> list[Value]:
    """The aggregates and expressions that the definitions rest on, each once and after what it rests on."""
    parts = [part for one in definitions for part in catalog.parts(one)]
    return [part for part in dict.fromkeys(parts) if not isinstance(part, Segment)]


def _source(catalog: Catalog, program: Program, wanted: Sequence[Value], profiles: Profiles | None) -> Source:
    parts = values_needed(catalog, wanted)
    rows, profile_id = _base(profiles, reads_attributes=any(map(_reads_attributes, parts)))
    source = Source(catalog, program, rows, profile_id)
    aggregates = {one.name: one for one in parts if isinstance(one, Aggregate)}
    columns = source.add_facts(aggregates, narrow=profiles is not None)
    source.values.update({key_of(one): columns[name] for name, one in aggregates.items()})
    source.add_values(parts)
    return source


def _base(profiles: Profiles | None, *, reads_attributes: bool) -> tuple[FromClause, ColumnElement[int]]:
    if profiles is None:
        return profile, profile.c.profile_id
    wanted = profiles.subquery("wanted")
    profile_id = wanted.c.profile_id
    rows = wanted.join(profile, profile.c.profile_id == profile_id) if reads_attributes else wanted
    return rows, profile_id


def _reads_attributes(part: Value) -> bool:
    return isinstance(part, Expression) and any(isinstance(one, Attribute) for one in every_part(part.formula))
