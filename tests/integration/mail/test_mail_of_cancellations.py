"""A batch cancellation owes a message to whoever it took points from, in the same transaction, and to nobody else."""

import pytest
from sqlalchemy import Connection, Engine, text

from cancellation import LOCKED, cancel, customer, each, part_of, start
from integration.mail.test_outbox import send
from ledger import program_of, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.deduct_points import deduct_points
from loyalty.services.undo_journey import undo_journey
from mailing import mail_of, sink


@pytest.fixture
def program() -> Program:
    return program_of(batch_size=2, mail=mail_of(), cancellation={"exclude_countries": ["DE"], "chunks_at_once": 1})


@pytest.fixture
def connection(module_database: Engine, program: Program) -> Connection:
    with module_database.connect() as connection:
        with connection.begin():
            wipe(connection)
            apply_program(connection, program)
        yield connection


def people(connection: Connection) -> None:
    """Three who lose points, one who is excluded, one who has none."""
    with connection.begin():
        for name, points, country in (
            ("ada", 40, None),
            ("bob", 50, None),
            ("eve", 60, None),
            ("uwe", 70, "DE"),
            ("joe", 0, None),
        ):
            customer(connection, name, points, country=country)
        connection.execute(
            text(
                "UPDATE loyalty.profile SET attributes = attributes || jsonb_build_object("
                "'email', customer_id || '@example.org', 'mail_consent', true)"
            )
        )


def queued(connection: Connection) -> dict[str, int]:
    with connection.begin():
        found = connection.execute(text("SELECT address, points FROM loyalty.email WHERE state = 'queued'"))
        return {row.address.partition("@")[0]: row.points for row in found}


def test_whoever_lost_points_is_owed_a_message(
    connection: Connection, module_database: Engine, program: Program
) -> None:
    people(connection)
    cancel(connection, program)
    assert queued(connection) == {"ada": 40, "bob": 50, "eve": 60}
    with sink() as (inbox, server):
        send(module_database, program, server)
    subjects = {address.partition("@")[0]: message["Subject"] for address, message in inbox.by_address().items()}
    assert subjects == {
        name: f"{points} points have been cancelled" for name, points in (("ada", 40), ("bob", 50), ("eve", 60))
    }


def test_a_deduction_that_is_rolled_back_owes_nothing(connection: Connection, program: Program) -> None:
    people(connection)
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    with connection.begin() as transaction:
        assert deduct_points(connection, part, program.mail).member_count == 3
        transaction.rollback()
    assert queued(connection) == {}
    each(connection, part, lambda own, whole: deduct_points(own, whole, program.mail))
    each(connection, part, lambda own, whole: deduct_points(own, whole, program.mail))
    assert queued(connection) == {"ada": 40, "bob": 50, "eve": 60}


def test_nobody_hears_of_points_that_were_given_back_before(
    connection: Connection, module_database: Engine, program: Program
) -> None:
    people(connection)
    run_id = cancel(connection, program).run_id
    undo_journey(connection, run_id, run_key="undo", size=2)
    with sink() as (inbox, server):
        assert send(module_database, program, server).count("skipped", "no_points") == 3
    assert inbox.messages == []
