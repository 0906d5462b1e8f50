"""Batch cancellation on a database: who loses how many points, who fails and why, and what a retry changes."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from cancellation import activate, cancel, customer, members, points_by_customer, program_with
from ledger import balances, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction


@pytest.fixture
def program() -> Program:
    return program_with()


@pytest.fixture
def connection(module_database: Engine, program: Program) -> Iterator[Connection]:
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program)
    with module_database.connect() as connection:
        yield connection
        connection.rollback()
        with connection.begin():
            assert broken(reconcile(connection)) == []


def test_everybody_loses_what_is_not_spared(connection: Connection, program: Program) -> None:
    with connection.begin():
        customer(connection, "anna", 100)
        customer(connection, "boris", 70, recent=30)
        customer(connection, "cleo", 0, recent=40)
        customer(connection, "dora", 200)
        activate(connection, "dora", "coffee")
    totals = cancel(connection, program)
    rows = members(connection, totals.run_id)
    assert points_by_customer(rows) == {"anna": 100, "boris": 70, "dora": 200}
    assert points_by_customer(rows, "returned") == {"anna": 0, "boris": 0, "dora": 50}
    assert {row.state for row in rows.values()} == {"completed"}
    with connection.begin():
        assert balances(connection) == {"anna": 0, "boris": 30, "cleo": 40, "dora": 0}
    assert (totals.member_count, totals.points, totals.returned, totals.failed_count) == (3, 370, 50, 0)
