"""An empty ledger with two promotions, on which every invariant holds at the end."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from cancellation import Prepared, Step, activate, customer, each, part_of, program_with, start
from ledger import wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.chunks import Range
from loyalty.services.promotions import redeem_promotion
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction


@pytest.fixture
def program() -> Program:
    return program_with()


@pytest.fixture
def unchecked(module_database: Engine, program: Program) -> Iterator[Connection]:
    """On this one the test itself says what holds at the end."""
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program)
    with module_database.connect() as connection:
        yield connection


@pytest.fixture
def connection(unchecked: Connection) -> Iterator[Connection]:
    yield unchecked
    unchecked.rollback()
    with unchecked.begin():
        assert broken(reconcile(unchecked)) == []


@pytest.fixture
def prepared(unchecked: Connection, program: Program) -> Prepared:
    """A run over customers with these points, after these steps: its one chunk."""

    def prepare(*steps: Step, points: dict[str, int] | None = None, **asked: object) -> Range:
        with unchecked.begin():
            for name, count in (points or {"anna": 100}).items():
                customer(unchecked, name, count)
        part = part_of(unchecked, start(unchecked, program, **asked))
        each(unchecked, part, *steps)
        return part

    return prepare


@pytest.fixture
def mixed(unchecked: Connection, program: Program) -> Range:
    """A run over customers with no, one and two promotions, and one who has nothing left to cancel."""
    with unchecked.begin():
        for name, points, paid in (("anna", 100, ()), ("boris", 200, ("coffee",)), ("cleo", 300, ("mug", "coffee"))):
            customer(unchecked, name, points)
            for promotion in paid:
                activate(unchecked, name, promotion)
        customer(unchecked, "dora", 120)
    run_id = start(unchecked, program)
    with unchecked.begin():
        redeem_promotion(unchecked, "dora", activate(unchecked, "dora", "mug"))
    return part_of(unchecked, run_id)
