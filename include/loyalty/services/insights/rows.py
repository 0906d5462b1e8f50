"""How insights come from the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from loyalty.store.queries import query

Row = dict[str, Any]


def rows(connection: Connection, name: str, **binds: object) -> Sequence[Row]:
    """All rows of the statement ``insights/name``."""
    return [dict(row) for row in connection.execute(query(f"insights/{name}"), binds).mappings()]


def row(connection: Connection, name: str, **binds: object) -> Row | None:
    """The one row of the statement ``insights/name``, or None."""
    found = connection.execute(query(f"insights/{name}"), binds).mappings().one_or_none()
    return None if found is None else dict(found)
