"""Every step of the journey again, and by two workers at once: what is done is not done a second time."""

import pytest
from sqlalchemy import Connection, Engine

from cancellation import (
    ASKED,
    LOCKED,
    RETURNED,
    Step,
    deadlines_come,
    each,
    held_for_nothing,
    members,
    outcome,
    picture,
    wait_for_deactivations,
    wait_for_locks,
)
from loyalty.services.chunks import Range
from loyalty.services.deactivate_promotions import deactivate_promotions
from loyalty.services.deduct_points import deduct_points
from loyalty.services.fail_unconfirmed import fail_undeactivated, fail_unlocked
from loyalty.services.filter_clients import filter_clients
from loyalty.services.lock_balances import grant_locks, request_locks
from loyalty.services.release_locks import release_locks
from side_by_side import overtaken

NOT_LOCKED = (request_locks, wait_for_locks, deadlines_come)
NOT_RETURNED = (*ASKED, wait_for_deactivations, deadlines_come)
STEPS: dict[str, tuple[tuple[Step, ...], Step]] = {
    "request_locks": ((), request_locks),
    "grant_locks": ((request_locks,), grant_locks),
    "start_lock_wait": ((request_locks,), wait_for_locks),
    "fail_unlocked": (NOT_LOCKED, fail_unlocked),
    "filter_clients": (LOCKED, filter_clients),
    "deactivate_promotions": (ASKED, deactivate_promotions),
    "start_deactivation_wait": (ASKED, wait_for_deactivations),
    "fail_undeactivated": (NOT_RETURNED, fail_undeactivated),
    "deduct_points": (RETURNED, deduct_points),
    "release_locks": (ASKED, release_locks),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_second_time_changes_nothing(connection: Connection, mixed: Range, name: str) -> None:
    before, step = STEPS[name]
    each(connection, mixed, *before)
    untouched = outcome(connection)
    each(connection, mixed, step)
    once = picture(connection)
    assert outcome(connection) != untouched
    each(connection, mixed, step)
    assert picture(connection) == once


@pytest.mark.parametrize("name", STEPS)
def test_two_at_once_do_what_one_does(module_database: Engine, connection: Connection, mixed: Range, name: str) -> None:
    before, step = STEPS[name]
    each(connection, mixed, *before)
    with connection.begin() as tried:
        step(connection, mixed)
        expected = outcome(connection)
        tried.rollback()
    overtaken(module_database, lambda one: step(one, mixed), lambda other: step(other, mixed))
    assert outcome(connection) == expected


def test_the_later_of_two_says_that_it_did_nothing(
    module_database: Engine, connection: Connection, mixed: Range
) -> None:
    each(connection, mixed, *RETURNED)
    _, later = overtaken(
        module_database, lambda one: deduct_points(one, mixed), lambda other: deduct_points(other, mixed)
    )
    assert (later.member_count, later.failed_count, later.points) == (0, 0, 0)


PAIRS: dict[str, tuple[tuple[Step, ...], Step, Step]] = {
    "a confirmation, then the deadline": (NOT_LOCKED, grant_locks, fail_unlocked),
    "the deadline, then a confirmation": (NOT_LOCKED, fail_unlocked, grant_locks),
    "the client filter, then a release": (LOCKED, filter_clients, release_locks),
    "a release, then the client filter": (LOCKED, release_locks, filter_clients),
    "deactivations, then the deadline": (NOT_RETURNED, deactivate_promotions, fail_undeactivated),
    "the deadline, then deactivations": (NOT_RETURNED, fail_undeactivated, deactivate_promotions),
    "deactivations, then a release": (ASKED, deactivate_promotions, release_locks),
    "a release, then deactivations": (ASKED, release_locks, deactivate_promotions),
    "the deduction, then a release": (RETURNED, deduct_points, release_locks),
    "a release, then the deduction": (RETURNED, release_locks, deduct_points),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_step_beside_one_that_gives_up_leaves_nothing_half_done(
    module_database: Engine, connection: Connection, mixed: Range, name: str
) -> None:
    before, first, second = PAIRS[name]
    each(connection, mixed, *before)
    overtaken(module_database, lambda one: first(one, mixed), lambda other: second(other, mixed))
    each(connection, mixed, release_locks)
    for row in members(connection, mixed.chunk.run_id).values():
        assert row.state in ("completed", "failed")
        assert row.released_at is not None
        assert row.balance_after == 0 if row.state == "completed" else row.points == 0
    assert held_for_nothing(connection) == []
