"""Runs over the same customers: a live lock is never stolen, and nobody pays twice."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cancellation import (
    LOCKED,
    Prepared,
    conclude,
    confirm,
    each,
    locks_end,
    members,
    now,
    part_of,
    start,
    states,
    wait_for_locks,
)
from ledger import expired, profile, record, settle
from loyalty.model.program import Program
from loyalty.services.deduct_points import deduct_points
from loyalty.services.lock_balances import grant_locks, locks_are_answered, request_locks
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.release_locks import release_locks
from side_by_side import overtaken


def test_a_lock_that_ended_and_is_now_anothers_is_left_to_it(
    connection: Connection, program: Program, prepared: Prepared
) -> None:
    first = prepared(*LOCKED)
    second = part_of(connection, start(connection, program))
    each(connection, first, locks_end)
    each(connection, second, *LOCKED)
    each(connection, first, deduct_points)
    assert states(connection, first.chunk.run_id) == {"anna": ("failed", "lock_expired")}
    each(connection, second, deduct_points)
    assert members(connection, second.chunk.run_id)["anna"].points == 100


def test_a_live_lock_is_never_another_runs(connection: Connection, program: Program, prepared: Prepared) -> None:
    first = prepared(request_locks, engine="events")
    second = part_of(connection, start(connection, program, engine="events"))
    each(connection, second, request_locks)
    with connection.begin():
        confirm(connection, first.chunk.run_id, "anna")
        confirm(connection, second.chunk.run_id, "anna")
    assert conclude(connection, second.chunk.run_id).failed_count == 1
    assert states(connection, second.chunk.run_id) == {"anna": ("failed", "lock_timeout")}
    assert conclude(connection, first.chunk.run_id).points == 100


def test_a_writer_cannot_take_over_a_live_lock(connection: Connection, prepared: Prepared) -> None:
    prepared(*LOCKED)
    with pytest.raises(DBAPIError, match="locked by another run"), connection.begin():
        connection.execute(text("UPDATE loyalty.account SET lock_run_id = lock_run_id + 1"))


def test_where_this_database_locks_the_later_run_waits_for_the_earlier(
    connection: Connection, program: Program, prepared: Prepared
) -> None:
    first = prepared(*LOCKED)
    second = part_of(connection, start(connection, program))
    each(connection, second, *LOCKED, wait_for_locks)
    with connection.begin():
        assert not locks_are_answered(connection, second.chunk)
    each(connection, first, deduct_points)
    with connection.begin():
        assert locks_are_answered(connection, second.chunk)
    assert states(connection, second.chunk.run_id) == {"anna": ("locked", None)}
    conclude(connection, second.chunk.run_id)
    assert members(connection, second.chunk.run_id)["anna"].points == 0


def test_two_runs_that_lock_at_once_share_nobody(
    module_database: Engine, connection: Connection, program: Program, prepared: Prepared
) -> None:
    first = prepared(request_locks, points={"anna": 100, "boris": 200})
    second = part_of(connection, start(connection, program))
    each(connection, second, request_locks)
    counts = overtaken(module_database, lambda one: grant_locks(one, first), lambda other: grant_locks(other, second))
    assert counts == (2, 0)
    assert conclude(connection, first.chunk.run_id).points == 300
    assert conclude(connection, second.chunk.run_id).points == 0


def test_a_locked_balance_is_left_to_the_next_expiry_run_which_dates_it_right(
    connection: Connection, program: Program
) -> None:
    today = now().date()
    with connection.begin():
        anna = profile(connection, "anna")
        record(connection, anna, "points.loyalty", now() - timedelta(days=200), 60)
        record(connection, anna, "points.loyalty", now() - timedelta(days=90), 100)
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    left = settle(connection, program, today)
    row = members(connection, left.run_id)["anna"]
    assert (row.state, row.reason, row.detail) == ("failed", "balance_locked", f"locked by run {part.chunk.run_id}")
    with connection.begin():
        assert expired(connection) == {}
        assert broken(reconcile(connection)) == []
    each(connection, part, release_locks)
    assert settle(connection, program, today + timedelta(days=1)).points == 60
    with connection.begin():
        assert expired(connection) == {(anna, today - timedelta(days=17)): 60}
