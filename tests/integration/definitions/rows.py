"""Rows in, values out: a ledger in which a test writes what it needs and asks what a definition makes of it."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Select, select, text

from ledger import record
from loyalty.compile import compile_expression, compile_segment, compile_values
from loyalty.model.aggregates import Aggregate
from loyalty.model.catalog import Catalog
from loyalty.model.expressions import Expression
from loyalty.model.formulas import Operand
from loyalty.model.program import EarningAction, Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Condition, Segment
from loyalty.store.tables import profile

WARSAW = ZoneInfo("Europe/Warsaw")
PROGRAM = Program(
    name="Test",
    timezone="Europe/Warsaw",
    currency="EUR",
    point_value=Decimal("0.01"),
    earning_actions={
        "points.loyalty": EarningAction(validity_days=182),
        "points.survey": EarningAction(validity_days=90),
        "points.forever": EarningAction(validity_days=None),
    },
)


def warsaw(moment: str, fold: int = 0) -> datetime:
    """The instant at which clocks in Warsaw show this."""
    return datetime.fromisoformat(moment).replace(tzinfo=WARSAW, fold=fold)


class Rows:
    """One open transaction on a migrated database of which nothing stays."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def customer(self, attributes: dict[str, Any] | None = None, tags: Sequence[str] = ()) -> int:
        made = text(
            "INSERT INTO loyalty.profile (customer_id, attributes, tags) "
            "VALUES (:customer, CAST(:attributes AS jsonb), :tags) RETURNING profile_id"
        )
        values = {"customer": str(uuid4()), "attributes": json.dumps(attributes or {}), "tags": list(tags)}
        return int(self.connection.execute(made, values).scalar_one())

    def event(
        self,
        profile_id: int,
        action: str,
        at: str | datetime,
        points: int | None = None,
        *,
        about: UUID | None = None,
        **params: Any,
    ) -> UUID:
        moment = warsaw(at) if isinstance(at, str) else at
        return record(self.connection, profile_id, action, moment, points, refers_to=about, params=params)

    def settle_on(self, profile_id: int, day: str | None) -> None:
        change = text("UPDATE loyalty.account SET settle_on = CAST(:day AS date) WHERE profile_id = :id")
        self.connection.execute(change, {"day": day, "id": profile_id})

    def values(self, asked: Operand, as_of: str | datetime, *known: AnyDefinition) -> dict[int, Any]:
        """The value for every profile; the same is asked also of a narrowed set, and both must agree."""
        definition = asked if isinstance(asked, Aggregate | Expression) else Expression(name="asked", formula=asked)
        catalog = Catalog([definition, *known])
        everyone = self._run(compile_expression(catalog, PROGRAM, definition), as_of)
        named = compile_expression(catalog, PROGRAM, definition, profiles=select(profile.c.profile_id))
        assert self._run(named, as_of) == everyone
        return {row[0]: row[1] for row in everyone}

    def columns(self, catalog: Catalog, names: Sequence[str], as_of: str | datetime) -> list[dict[str, Any]]:
        statement = compile_values(catalog, PROGRAM, [catalog.value(name) for name in names])
        rows = self.connection.execute(statement, {"as_of": _instant(as_of)}).mappings()
        return [dict(row) for row in sorted(rows, key=lambda row: row["profile_id"])]

    def members(self, where: Condition | Operand, as_of: str | datetime, *known: AnyDefinition) -> set[int]:
        """Who is in the segment; the same is asked also among named profiles, and both must agree."""
        segment = Segment(name="asked", where=where)
        catalog = Catalog([segment, *known])
        found = [row[0] for row in self._run(compile_segment(catalog, PROGRAM, segment), as_of)]
        assert len(found) == len(set(found)), "a profile is in a segment once"
        named = compile_segment(catalog, PROGRAM, segment, profiles=select(profile.c.profile_id))
        assert [row[0] for row in self._run(named, as_of)] == found
        return set(found)

    def _run(self, statement: Select[Any], as_of: str | datetime) -> list[tuple[Any, ...]]:
        rows = self.connection.execute(statement, {"as_of": _instant(as_of)})
        return sorted((tuple(row) for row in rows), key=lambda row: row[0])


def _instant(moment: str | datetime) -> datetime:
    return warsaw(moment) if isinstance(moment, str) else moment
