"""Migrations: each revision is an SQL file beside a few lines of Python."""

from pathlib import Path

from alembic import op


def run_sql_beside(revision: Path) -> None:
    """The statements of the SQL file of the same name have been executed, percent signs and all."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(revision.with_suffix(".sql").read_text(encoding="utf-8"))
