"""The fixed SQL of the house: one statement a file in store/sql, named like what it does, with :binds."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, TextClause, text

from loyalty.errors import LoyaltyError, nearest

FOLDER = Path(__file__).with_name("sql")
Row = dict[str, Any]


@cache
def query(name: str) -> TextClause:
    """The statement in store/sql/``name``.sql, read once per process."""
    path = FOLDER / f"{name}.sql"
    if not path.is_file():
        raise LoyaltyError(
            f"there is no statement {name!r}: {nearest(name, (file.stem for file in FOLDER.glob('*.sql')))}"
        )
    return text(path.read_text(encoding="utf-8"))


@cache
def query_of_part(name: str, part: int) -> TextClause:
    """The same statement, reading one partition of the events in place of all: loyalty.event_3.

    The table is named, since no bind can do that: the planner leaves partitions out for values of profile_id only.
    """
    return text(re.sub(r"\bloyalty\.event\b", f"loyalty.event_{part:d}", query(name).text))


def rows(connection: Connection, name: str, /, **binds: object) -> list[Row]:
    """All rows of the statement, by the names of its columns."""
    return [dict(one) for one in connection.execute(query(name), binds).mappings()]


def row(connection: Connection, name: str, /, **binds: object) -> Row | None:
    """The one row of the statement, or None."""
    found = connection.execute(query(name), binds).mappings().one_or_none()
    return None if found is None else dict(found)
