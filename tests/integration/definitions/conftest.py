"""One migrated database for all tests of a file; each test's rows are rolled back."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from integration.definitions.rows import PROGRAM, Rows
from loyalty.services.apply_program import apply_program
from loyalty.store.database import connect, transaction


@pytest.fixture(scope="module")
def ledger_engine(module_database: Engine) -> Engine:
    with transaction(module_database) as connection:
        apply_program(connection, PROGRAM)
    return module_database


@pytest.fixture
def rows(ledger_engine: Engine) -> Iterator[Rows]:
    with connect(ledger_engine) as connection, connection.begin() as nothing_stays:
        yield Rows(connection)
        nothing_stays.rollback()
