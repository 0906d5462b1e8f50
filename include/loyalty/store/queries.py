"""The fixed SQL of the house: one statement a file in store/sql, named like what it does, with :binds."""

from functools import cache
from pathlib import Path

from sqlalchemy import TextClause, text

from loyalty.errors import LoyaltyError, nearest

FOLDER = Path(__file__).with_name("sql")


@cache
def query(name: str) -> TextClause:
    """The statement in store/sql/``name``.sql, read once per process."""
    path = FOLDER / f"{name}.sql"
    if not path.is_file():
        raise LoyaltyError(
            f"there is no statement {name!r}: {nearest(name, (file.stem for file in FOLDER.glob('*.sql')))}"
        )
    return text(path.read_text(encoding="utf-8"))
