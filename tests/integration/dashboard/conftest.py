"""A ledger with two promotions, and somebody who watches it."""

from collections.abc import Iterator

import pytest
from httpx import Client
from sqlalchemy import Connection, Engine

from cancellation import PROMOTIONS, QUICK
from ledger import program_of, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.store.database import transaction
from mailing import mail_of
from watching import watching


@pytest.fixture(scope="module")
def program() -> Program:
    return program_of(promotions=PROMOTIONS, cancellation=QUICK, batch_size=3, mail=mail_of())


@pytest.fixture
def connection(module_database: Engine, program: Program) -> Iterator[Connection]:
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program)
    with module_database.connect() as connection:
        yield connection


@pytest.fixture
def client(module_database: Engine, connection: Connection) -> Iterator[Client]:
    with watching(module_database) as client:
        yield client
