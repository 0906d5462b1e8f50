"""What the tests of the import start from."""

import pytest
from sqlalchemy import Engine, text

from importing import ACTIONS


@pytest.fixture
def ledger(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text(ACTIONS))
    return database
