"""Rows that are kept for the rest of a transaction."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import ProgrammingError

from loyalty.store.temporary import keep_rows

COST = text("SHOW random_page_cost")


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


def test_rows_are_kept_until_the_transaction_ends(connection: Connection) -> None:
    with connection.begin():
        kept = keep_rows(connection, "kept", select(func.generate_series(1, 3).label("n")))
        assert connection.scalars(select(kept.c.n)).all() == [1, 2, 3]
    with connection.begin(), pytest.raises(ProgrammingError, match="does not exist"):
        connection.execute(select(kept.c.n))


def test_large_tables_are_read_as_they_lie_and_only_then(connection: Connection) -> None:
    """Where single pages cost as much as rows of them, all events would be read in the order of their index."""
    with connection.begin():
        before = connection.scalar(COST)
        kept = keep_rows(connection, "kept", select(func.current_setting("random_page_cost").label("cost")))
        assert connection.scalar(select(kept.c.cost)) == "4"
        assert connection.scalar(COST) == before
