"""The fixed SQL of the ledger, by the name of its file in store/sql."""

from functools import cache
from pathlib import Path

from sqlalchemy import TextClause, text

SQL = Path(__file__).parent / "sql"


@cache
def query(name: str) -> TextClause:
    """The statement of store/sql/NAME.sql, with its :binds still open."""
    return text((SQL / f"{name}.sql").read_text(encoding="utf-8"))
