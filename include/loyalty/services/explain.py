"""What a definition means: in words, as SQL, as a plan, and for one customer part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from loyalty.compile import compile_expression, compile_segment
from loyalty.compile.plan import Explain
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment
from loyalty.store.tables import profile


@dataclass(frozen=True)
class Explanation:
    """``sql`` has its values written in, and can be run as it is."""

    words: str
    sql: str


@dataclass(frozen=True)
class Part:
    """What one definition comes to for one customer; for a segment, whether the customer belongs to it."""

    name: str
    words: str
    value: Any


def explain(
    connection: Connection, catalog: Catalog, program: Program, definition: AnyDefinition, as_of: datetime
) -> Explanation:
    """The definition in words, and its statement as of an instant."""
    bound = _statement(catalog, program, definition).params(as_of=as_of)
    written = bound.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return Explanation(words_of(definition), str(written))


def plan_of(
    connection: Connection, catalog: Catalog, program: Program, definition: AnyDefinition, as_of: datetime
) -> str:
    """How PostgreSQL would run the definition's statement for the whole program."""
    return "\n".join(connection.scalars(Explain(_statement(catalog, program, definition).params(as_of=as_of))))


def explain_for(
    connection: Connection,
    catalog: Catalog,
    program: Program,
    definition: AnyDefinition,
    as_of: datetime,
    profile_id: int,
) -> Sequence[Part]:
    """Every part that the definition rests on, each before those that rest on it, with its value for the profile."""
    return [
        Part(one.name, words_of(one), _value(connection, catalog, program, one, as_of, profile_id))
        for one in catalog.parts(definition)
    ]


def words_of(definition: AnyDefinition) -> str:
    """The definition as one would say it."""
    return definition.where.describe() if isinstance(definition, Segment) else definition.describe()


def _statement(catalog: Catalog, program: Program, definition: AnyDefinition) -> Select[Any]:
    if isinstance(definition, Segment):
        return compile_segment(catalog, program, definition)
    return compile_expression(catalog, program, definition)


def _value(
    connection: Connection, catalog: Catalog, program: Program, one: AnyDefinition, as_of: datetime, profile_id: int
) -> Any:
    if isinstance(one, Segment):
        members = compile_segment(catalog, program, one).subquery("members")
        belongs = select(members.c.profile_id == profile_id).where(members.c.profile_id == profile_id)
        return bool(connection.scalar(belongs, {"as_of": as_of}))
    just_this = select(profile.c.profile_id).where(profile.c.profile_id == profile_id)
    values = compile_expression(catalog, program, one, profiles=just_this)
    return connection.execute(values, {"as_of": as_of}).one().value
