"""Sixty customers go on shopping in twenty threads while their points are cancelled: every invariant holds."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Row, text

from cancellation import (
    activate,
    chunks,
    customer,
    due_points,
    held_for_nothing,
    members,
    points_by_customer,
    program_with,
    start,
)
from fire import Attempt, Fire
from ledger import wipe
from loyalty.local.engine import Manners, OutsideEngine
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.undo_journey import undo_journey
from loyalty.store.database import transaction

NAMES = [f"c{n:02}" for n in range(60)]
MANNERS = Manners(silent=NAMES[:4], idle=NAMES[4:10], refuses=NAMES[10:12])
LOCKS = text(
    "SELECT customer_id, locked_at, lock_expires_at, least(released_at, lock_expires_at) AS ended_at "
    "FROM loyalty.journey_member JOIN loyalty.profile USING (profile_id) WHERE locked_at IS NOT NULL"
)
BOOKED = text(
    "SELECT customer_id, action, count(*), sum(points) FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
    "WHERE source = 'till' GROUP BY customer_id, action"
)
DEFAULT = {("events", 0), ("database", 2)}
CASES = [
    pytest.param(engine, seed, marks=() if (engine, seed) in DEFAULT else pytest.mark.exhaustive)
    for engine in ("events", "database")
    for seed in range(10)
]


@pytest.mark.parametrize(("engine", "seed"), CASES)
def test_nobody_loses_what_is_theirs_and_nobody_spends_what_is_locked(
    module_database: Engine, engine: str, seed: int
) -> None:
    program = program_with(engine=engine, lock_wait_minutes=0.015, deactivation_wait_minutes=0.015, chunk_size=20)
    with transaction(module_database) as connection:
        ids = opened(connection, program, random.Random(seed))
    outside = OutsideEngine(module_database, MANNERS, seconds=0.05) if engine == "events" else nullcontext()
    with Fire(module_database.url, ids, seed) as fire, outside:
        first = cancelled(module_database, program)
        second = cancelled(module_database, program, second_round_of=first)
        with module_database.connect() as connection:
            undo_journey(connection, first, run_key=f"undo {first}", size=7)
    assert fire.faults == []
    assert fire.check_count > 0
    with module_database.connect() as connection, connection.begin():
        assert broken(reconcile(connection)) == []
        assert held_for_nothing(connection) == []
        check_spending(connection, fire.attempts)
        check_purchases(connection, fire.attempts)
    with module_database.connect() as connection:
        for run_id in (first, second):
            rows = members(connection, run_id)
            assert points_by_customer(rows) == due_points(connection, run_id)
            unanswered = {name for name in (*MANNERS.silent, *MANNERS.refuses) if name in rows and engine == "events"}
            assert {rows[name].state for name in unanswered} <= {"failed"}


def opened(connection: Connection, program: Program, chance: random.Random) -> dict[str, int]:
    """An empty ledger, and in it customers with points of long ago and of late, some with promotions."""
    wipe(connection)
    apply_program(connection, program)
    ids = {}
    for name in NAMES:
        ids[name] = customer(connection, name, chance.randint(60, 400), recent=chance.choice((0, 0, 35)))
        for _ in range(chance.choice((0, 0, 1))):
            activate(connection, name, "coffee")
    return ids


def cancelled(database: Engine, program: Program, **asked: Any) -> int:
    """A whole run, its chunks side by side."""
    with database.connect() as connection:
        run_id = start(connection, program, **asked)
        numbers = chunks(connection, run_id)

        def work(number: int) -> None:
            with database.connect() as own:
                journey.cancel_chunk(own, run_id, number, size=7)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, numbers))
        journey.finish(connection, run_id)
    return run_id


def check_spending(connection: Connection, attempts: list[Attempt]) -> None:
    """Nobody spent inside a lock; who was refused for one had it, and was told when it ends."""
    locks = connection.execute(LOCKS).all()
    spent = [one for one in attempts if one.outcome == "done" and one.verb in ("activate", "deactivate")]
    refused = [one for one in attempts if one.outcome == "locked"]
    assert [one for one in spent if any(is_inside(one, lock) for lock in locks)] == []
    ends = {(lock.customer_id, lock.lock_expires_at) for lock in locks}
    assert {(one.customer, one.until) for one in refused} <= ends
    assert {one.verb for one in refused} == {"activate", "deactivate"}
    assert spent


def is_inside(attempt: Attempt, lock: Row[Any]) -> bool:
    return attempt.customer == lock.customer_id and lock.locked_at <= attempt.at < lock.ended_at


def check_purchases(connection: Connection, attempts: list[Attempt]) -> None:
    """Every purchase is there, once, with its points."""
    made: Counter[tuple[str, str]] = Counter()
    points: Counter[str] = Counter()
    for one in attempts:
        if one.verb == "buy":
            assert one.outcome == "done"
            points[one.customer] += one.points
            made.update({(one.customer, "transaction.charge"): 1, (one.customer, "points.loyalty"): 1})
    booked = connection.execute(BOOKED).all()
    assert {(row.customer_id, row.action): row.count for row in booked} == made
    assert {row.customer_id: row.sum for row in booked if row.action == "points.loyalty"} == points
