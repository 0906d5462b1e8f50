"""A query's rows in a table that its transaction takes with it."""

from typing import Any

from sqlalchemy import ClauseElement, Connection, Executable, Select, TableClause, column, table, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

# A server that is told that single pages cost no more than a row of them (SSD, much memory) would go through all
# events in the order of their index, a page for each: three times as long as reading the table as it lies, and sorting.
AS_IT_LIES = text("SET LOCAL random_page_cost = 4")
AS_BEFORE = text("SET LOCAL random_page_cost TO DEFAULT")


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

    (Rows that go straight into another table are found by one process alone.) Large tables are read as they lie.
    """
    connection.execute(AS_IT_LIES)
    connection.execute(_CreateAs(name, rows))
    connection.execute(AS_BEFORE)
    return table(name, *(column(one.name, one.type) for one in rows.selected_columns))
