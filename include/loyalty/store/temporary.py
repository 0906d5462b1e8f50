"""A query's rows in a table that its transaction takes with it."""

from typing import Any

from sqlalchemy import ClauseElement, Connection, Executable, Select, TableClause, column, table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class _CreateAs(Executable, ClauseElement):
    """SQLAlchemy's own CREATE TABLE … AS writes every bind into the text; this one binds them."""

    inherit_cache = False

    def __init__(self, name: str, rows: Select[Any]) -> None:
        self.name, self.rows = name, rows


@compiles(_CreateAs)
def _create_as(element: _CreateAs, compiler: SQLCompiler, **options: Any) -> str:
    return f"CREATE TEMPORARY TABLE {element.name} ON COMMIT DROP AS {compiler.process(element.rows, **options)}"


def keep_rows(connection: Connection, name: str, rows: Select[Any]) -> TableClause:
    """The rows stand in a temporary table of that name until the transaction ends; the server could share the work.

    (Rows that go straight into another table are found by one process alone.)
    """
    connection.execute(_CreateAs(name, rows))
    return table(name, *(column(one.name, one.type) for one in rows.selected_columns))
