"""Batch cancellation on a database: who loses how many points, who fails and why, and what a restart changes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, text

from cancellation import (
    activate,
    cancel,
    chunks,
    conclude,
    customer,
    members,
    points_by_customer,
    program_with,
    start,
    states,
)
from ledger import balances, wipe
from loyalty.local.engine import Manners, OutsideEngine
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.apply_program import apply_program
from loyalty.services.list_failures import failed_members
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.report_cancellation import report_cancellation
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


@pytest.fixture
def crowd(connection: Connection) -> list[str]:
    """Twelve customers with 100 points each, every third of whom holds a coffee paid with 50 of them."""
    names = [f"c{n:02}" for n in range(12)]
    with connection.begin():
        for n, name in enumerate(names):
            customer(connection, name, 100)
            if n % 3 == 0:
                activate(connection, name, "coffee")
    return names


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


def test_an_outside_engine_that_leaves_some_unanswered_holds_up_nobody_else(
    module_database: Engine, connection: Connection, program: Program, crowd: list[str]
) -> None:
    manners = Manners(silent=crowd[1:3], idle=[crowd[3]], refuses=[crowd[4]])
    engine = OutsideEngine(module_database, manners)
    run_id = start(connection, program, engine="events")
    journey.lock(connection, run_id, 0, size=5)
    engine.answer()
    totals = conclude(connection, run_id, lambda own, part: engine.answer())
    found = states(connection, totals.run_id)
    assert {name: reason for name, (state, reason) in found.items() if state == "failed"} == {
        "c01": "lock_timeout",
        "c02": "lock_timeout",
        "c03": "deactivation_timeout",
        "c04": "engine_error",
    }
    assert (totals.failed_count, totals.points, totals.returned) == (4, 800, 150)
    with connection.begin():
        said = report_cancellation(connection, totals.run_id).lines()
        refused = failed_members(connection, totals.run_id, "engine_error")
    assert [(row["customer_id"], row["points"], row["locked_at"]) for row in refused] == [("c04", 100, None)]
    assert "failed: 2 lock_timeout, taken up by a second round" in said
    assert "failed: 1 engine_error (the account is in arbitration), taken up by a second round" in said


def test_chunks_are_worked_on_each_by_itself(connection: Connection, program: Program, crowd: list[str]) -> None:
    run_id = start(connection, program, chunk_size=5)
    numbers = chunks(connection, run_id)
    assert numbers == [0, 1, 2]
    journey.cancel_chunk(connection, run_id, 1, size=2)
    assert [name for name, (state, _) in states(connection, run_id).items() if state == "completed"] == crowd[4:8]
    for number in (2, 0):
        journey.cancel_chunk(connection, run_id, number, size=2)
    assert journey.finish(connection, run_id).points == 1200


@pytest.mark.parametrize(("batch_size", "expected"), [(7, [7, 5]), (6, [6, 6]), (3, [6, 6])])
def test_chunks_are_even_as_far_as_each_has_a_range(
    connection: Connection, program: Program, crowd: list[str], batch_size: int, expected: list[int]
) -> None:
    ranged = program.model_copy(update={"batch_size": batch_size})
    run_id = start(connection, ranged, chunk_size=7, chunks_at_once=2)
    sizes = """
        SELECT count(*) FROM loyalty.journey_chunk AS chunk JOIN loyalty.journey_member AS member
            ON member.run_id = chunk.run_id AND profile_id BETWEEN first_profile_id AND last_profile_id
        WHERE chunk.run_id = :r GROUP BY chunk ORDER BY chunk
        """
    assert connection.scalars(text(sizes), {"r": run_id}).all() == expected


@pytest.mark.parametrize("batch_count", [1, 2, 3])
def test_a_chunk_that_was_interrupted_goes_on_where_it_stopped(
    connection: Connection, program: Program, crowd: list[str], batch_count: int
) -> None:
    done: list[journey.Step] = []

    def power_cut(step: journey.Step) -> None:
        done.append(step)
        if len(done) == batch_count:
            raise KeyboardInterrupt

    run_id = start(connection, program)
    with pytest.raises(KeyboardInterrupt):
        journey.cancel_chunk(connection, run_id, 0, size=3, on_batch=power_cut)
    taken = {name for name, (state, _) in states(connection, run_id).items() if state == "completed"}
    assert len(taken) == 3 * batch_count
    journey.cancel_chunk(connection, run_id, 0, size=3)
    totals = journey.finish(connection, run_id)
    assert (totals.points, totals.returned, totals.failed_count) == (1200, 200, 0)


def test_two_workers_on_the_same_chunk_take_everything_once(
    module_database: Engine, connection: Connection, program: Program, crowd: list[str]
) -> None:
    patience = {"lock_minutes": 9, "lock_wait_minutes": 1, "deactivation_wait_minutes": 1}
    run_id = start(connection, program, **patience)

    def work(size: int) -> None:
        with module_database.connect() as own:
            journey.cancel_chunk(own, run_id, 0, size=size)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (2, 3)))
    totals = journey.finish(connection, run_id)
    assert (totals.points, totals.returned, totals.failed_count) == (1200, 200, 0)
    with connection.begin():
        assert set(balances(connection).values()) == {0}
