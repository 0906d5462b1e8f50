"""What the definitions come to, for a sample of the customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from loyalty.compile import compile_expression, compile_segment
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment
from loyalty.store.queries import query, rows
from loyalty.store.tables import profile

SAMPLE = 2_000


@dataclass(frozen=True)
class Sampled:
    """Of ``asked`` customers out of about ``customers``, ``members`` belong to a segment, or have these ``values``."""

    customers: int
    asked: int
    members: int
    values: Sequence[Any] = ()

    @property
    def estimate(self) -> int:
        """How many of all customers that would be."""
        return round(self.customers * self.members / self.asked) if self.asked else 0

    @property
    def is_exact(self) -> bool:
        """Whether nobody was left out."""
        return self.asked == self.customers


def applied_program(connection: Connection) -> Program:
    """The program that the ledger works by."""
    return Program.model_validate(connection.scalar(query("insights/settings")))


def sample(
    connection: Connection, catalog: Catalog, program: Program, definition: AnyDefinition, as_of: datetime
) -> Sampled:
    """The definition for customers drawn at random, or for all where they are few."""
    ids = [one["profile_id"] for one in rows(connection, "insights/sample", size=SAMPLE)]
    # As one constant: of a set to be joined with, the planner would not know how small it is.
    drawn = func.any(bindparam("ids", ids))
    customers = int(connection.scalar(query("insights/profile_count")) or 0)
    asked = select(profile.c.profile_id).where(profile.c.profile_id == drawn)
    if isinstance(definition, Segment):
        found = compile_segment(catalog, program, definition, profiles=asked).subquery("segment")
        counted = connection.scalar(select(func.count()).select_from(found), {"as_of": as_of})
        return Sampled(customers, len(ids), int(counted or 0))
    values = connection.execute(compile_expression(catalog, program, definition, profiles=asked), {"as_of": as_of})
    known = [one.value for one in values if one.value is not None]
    return Sampled(customers, len(ids), len(known), known)
