"""Locks: who gets one, when it ends, and whose it is."""

import time
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from cancellation import (
    LOCKED,
    Prepared,
    actions,
    answer,
    conclude,
    confirm,
    deadlines_come,
    each,
    locks_end,
    members,
    now,
    picture,
    states,
    wait_for_locks,
)
from ledger import balances
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.deduct_points import deduct_points
from loyalty.services.fail_unconfirmed import fail_unlocked
from loyalty.services.lock_balances import locks_are_answered, request_locks

ASKED = {"points.loyalty": 1, "points.lockRequested": 1}  # what every customer of a run has

STATES = ("account", "promotion_activation", "journey_run", "journey_chunk", "journey_member")
DEADLINES = text("SELECT lock_deadline_at, deactivation_deadline_at FROM loyalty.journey_chunk")


def test_a_confirmation_makes_the_lock_live_with_the_balance_of_that_moment(
    connection: Connection, prepared: Prepared
) -> None:
    part = prepared(request_locks, engine="events")
    asked = members(connection, part.chunk.run_id)["anna"]
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna")
    locked = members(connection, part.chunk.run_id)["anna"]
    assert (locked.state, locked.balance_locked) == ("locked", 100)
    assert asked.lock_requested_at < locked.locked_at < locked.lock_expires_at == asked.lock_expires_at


def test_a_wrong_token_changes_nothing(connection: Connection, prepared: Prepared) -> None:
    part = prepared(request_locks, engine="events")
    before = picture(connection, *STATES)
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna", token=uuid4())
        answer(connection, part.chunk.run_id, "points.engineError", "anna", token=uuid4(), message="no")
    assert picture(connection, *STATES) == before
    assert actions(connection, "anna") == ASKED | {"points.locked": 1, "points.engineError": 1}


def test_a_wrong_token_is_not_answered_after_failure_either(connection: Connection, prepared: Prepared) -> None:
    part = prepared(request_locks, wait_for_locks, deadlines_come, fail_unlocked, engine="events")
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna", token=uuid4())
    assert actions(connection, "anna")["points.unlocked"] == 1


def test_the_same_confirmation_twice_is_one(connection: Connection, prepared: Prepared) -> None:
    part = prepared(request_locks, engine="events")
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna")
    once = picture(connection, *STATES)
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna")
    assert picture(connection, *STATES) == once
    assert actions(connection, "anna") == ASKED | {"points.locked": 2}


def test_a_confirmation_after_failure_changes_no_state_and_is_answered_by_a_release(
    connection: Connection, prepared: Prepared
) -> None:
    part = prepared(request_locks, wait_for_locks, deadlines_come, fail_unlocked, engine="events")
    failed = picture(connection, *STATES)
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna")
    assert picture(connection, *STATES) == failed
    assert states(connection, part.chunk.run_id) == {"anna": ("failed", "lock_timeout")}
    assert actions(connection, "anna") == ASKED | {"points.locked": 1, "points.unlocked": 2}


def test_who_does_not_answer_fails_alone(connection: Connection, prepared: Prepared) -> None:
    part = prepared(request_locks, wait_for_locks, engine="events", points={"anna": 100, "boris": 200})
    with connection.begin():
        confirm(connection, part.chunk.run_id, "boris")
        assert not locks_are_answered(connection, part.chunk)
        deadlines_come(connection, part)
        assert locks_are_answered(connection, part.chunk)
    totals = conclude(connection, part.chunk.run_id)
    assert states(connection, part.chunk.run_id) == {"anna": ("failed", "lock_timeout"), "boris": ("completed", None)}
    assert (totals.points, totals.failed_count) == (200, 1)
    assert actions(connection, "anna") == ASKED | {"points.unlocked": 1}


@pytest.mark.parametrize("confirmed", [False, True])
def test_an_engine_that_cannot_says_why(connection: Connection, prepared: Prepared, confirmed: bool) -> None:
    part = prepared(request_locks, *LOCKED[1:] * confirmed)
    with connection.begin():
        answer(connection, part.chunk.run_id, "points.engineError", "anna", message="in arbitration")
    row = members(connection, part.chunk.run_id)["anna"]
    assert (row.state, row.reason, row.detail) == ("failed", "engine_error", "in arbitration")
    assert actions(connection, "anna")["points.unlocked"] == 1


def test_a_confirmation_that_comes_after_the_lock_would_have_ended_locks_nothing(
    connection: Connection, prepared: Prepared
) -> None:
    part = prepared(request_locks, locks_end, engine="events")
    with connection.begin():
        confirm(connection, part.chunk.run_id, "anna")
    assert states(connection, part.chunk.run_id) == {"anna": ("lock_requested", None)}
    assert conclude(connection, part.chunk.run_id).failed_count == 1


def test_nothing_is_taken_under_a_lock_that_has_ended(connection: Connection, prepared: Prepared) -> None:
    part = prepared(*LOCKED, locks_end, points={"anna": 100, "boris": 200})
    with connection.begin():
        done = deduct_points(connection, part)
    assert (done.member_count, done.points, done.failed_count) == (0, 0, 2)
    assert set(states(connection, part.chunk.run_id).values()) == {("failed", "lock_expired")}
    with connection.begin():
        assert balances(connection) == {"anna": 100, "boris": 200}


def test_a_lock_ends_by_itself(connection: Connection, prepared: Prepared) -> None:
    waits = {"lock_wait_minutes": 0.001, "deactivation_wait_minutes": 0.001, "margin_minutes": 0.001}
    part = prepared(*LOCKED, lock_minutes=0.03, **waits)
    ends_at = members(connection, part.chunk.run_id)["anna"].lock_expires_at
    time.sleep((ends_at - now()).total_seconds() + 0.1)
    each(connection, part, deduct_points)
    assert states(connection, part.chunk.run_id) == {"anna": ("failed", "lock_expired")}


def test_a_deadline_stays_when_its_task_is_retried(
    connection: Connection, program: Program, prepared: Prepared
) -> None:
    part = prepared(engine="events")
    steps = journey.lock, journey.deactivate
    for step in steps:
        step(connection, part.chunk.run_id, 0, size=1)
    with connection.begin():
        first = connection.execute(DEADLINES).one()
    for step in steps:
        step(connection, part.chunk.run_id, 0, size=1)
    with connection.begin():
        assert connection.execute(DEADLINES).one() == first
    assert first.lock_deadline_at < first.deactivation_deadline_at


def test_a_lock_that_does_not_outlast_both_waits_is_refused(program: Program) -> None:
    waits = {"lock_wait_minutes": 30, "deactivation_wait_minutes": 30, "margin_minutes": 30}
    assert journey.settings_of(program, lock_minutes=90, **waits).lock_minutes == 90
    with pytest.raises(LoyaltyError, match="lock_minutes 89 is too short: both waits and the margin take 90"):
        journey.settings_of(program, lock_minutes=89, **waits)
