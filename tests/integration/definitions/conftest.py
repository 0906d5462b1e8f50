"""One migrated database for all tests of a file; each test's rows are rolled back."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from integration.definitions.rows import PROGRAM, Rows
from loyalty.services.apply_program import apply_program
from loyalty.store.database import connect, open_engine, transaction


@pytest.fixture(scope="module")
def ledger_engine(server: URL, template: str) -> Iterator[Engine]:
    name = f"definitions_{uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock_shared(42)"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
        connection.execute(text("SELECT pg_advisory_unlock_shared(42)"))
        engine = open_engine(server.set(database=name))
        with transaction(engine) as fresh:
            apply_program(fresh, PROGRAM)
        yield engine
        engine.dispose()
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def rows(ledger_engine: Engine) -> Iterator[Rows]:
    with connect(ledger_engine) as connection, connection.begin() as transaction:
        yield Rows(connection)
        transaction.rollback()
