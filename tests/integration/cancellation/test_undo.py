"""Undo gives back exactly what a run took, once."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, Engine

from cancellation import (
    LOCKED,
    activate,
    cancel,
    conclude,
    customer,
    each,
    hold_accounts,
    members,
    now,
    part_of,
    picture,
    points_by_customer,
    promotions,
    start,
    states,
)
from ledger import balances, expired, profile, record, settle
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services.journey_runs import RunTotals
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.release_locks import release_locks
from loyalty.services.undo_journey import Restored, preview_undo, undo_journey
from side_by_side import all_at_once


@pytest.fixture
def cancelled(unchecked: Connection, program: Program) -> int:
    """A completed run that took points from Anna and Boris, whose coffee was deactivated for it."""
    with unchecked.begin():
        customer(unchecked, "anna", 100)
        customer(unchecked, "boris", 200, recent=30)
        activate(unchecked, "boris", "coffee")
    return cancel(unchecked, program).run_id


def undo(connection: Connection, run_id: int, key: str = "undo") -> RunTotals:
    return undo_journey(connection, run_id, run_key=key, size=1)


def test_everybody_has_back_what_was_taken(connection: Connection, cancelled: int) -> None:
    totals = undo(connection, cancelled)
    assert (totals.member_count, totals.failed_count, totals.points) == (2, 0, -300)
    assert points_by_customer(members(connection, totals.run_id)) == {"anna": -100, "boris": -200}
    with connection.begin():
        assert balances(connection) == {"anna": 100, "boris": 230}


def test_promotions_stay_deactivated(connection: Connection, cancelled: int) -> None:
    undo(connection, cancelled)
    assert promotions(connection, "boris") == ["deactivated"]


def test_again_it_gives_nothing(connection: Connection, cancelled: int) -> None:
    undo(connection, cancelled)
    once = picture(connection, "event", "account", "journey_member")
    undo(connection, cancelled)
    assert picture(connection, "event", "account", "journey_member") == once


def test_another_undo_finds_it_done(connection: Connection, cancelled: int) -> None:
    undo(connection, cancelled)
    totals = undo(connection, cancelled, "another")
    assert (totals.failed_count, totals.points) == (2, 0)
    assert set(states(connection, totals.run_id).values()) == {("failed", "already_restored")}
    with connection.begin():
        assert balances(connection) == {"anna": 100, "boris": 230}


def test_a_preview_touches_nothing(connection: Connection, cancelled: int) -> None:
    before = picture(connection)
    with connection.begin():
        assert preview_undo(connection, cancelled) == [Restored(None, 2, 300)]
    assert picture(connection) == before
    undo(connection, cancelled)
    with connection.begin():
        assert preview_undo(connection, cancelled) == [Restored("already_restored", 2, 300)]


def test_a_balance_that_another_run_holds_is_left_and_taken_up_by_the_same_undo(
    connection: Connection, program: Program, cancelled: int
) -> None:
    with connection.begin():
        record(connection, profile(connection, "anna"), "points.loyalty", now() - timedelta(days=90), 40)
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    with connection.begin():
        assert preview_undo(connection, cancelled) == [Restored(None, 1, 200), Restored("balance_locked", 1, 100)]
    totals = undo(connection, cancelled)
    assert (totals.failed_count, totals.points) == (1, -200)
    row = members(connection, totals.run_id)["anna"]
    assert (row.reason, row.detail) == ("balance_locked", f"locked by run {part.chunk.run_id}")
    each(connection, part, release_locks)
    assert undo(connection, cancelled).points == -300
    assert set(states(connection, totals.run_id).values()) == {("completed", None)}
    with connection.begin():
        assert balances(connection) == {"anna": 140, "boris": 230}


def test_restored_points_that_are_due_already_expire_at_the_next_midnight(
    connection: Connection, program: Program
) -> None:
    tomorrow = now().date() + timedelta(days=1)
    with connection.begin():
        anna = customer(connection, "anna", 100)
        record(connection, anna, "points.loyalty", now() - timedelta(days=200), 60)
    undo(connection, cancel(connection, program).run_id)
    assert settle(connection, program, now().date()).points == 0
    assert settle(connection, program, tomorrow).points == 60
    with connection.begin():
        assert expired(connection) == {(anna, tomorrow): 60}
        assert balances(connection) == {"anna": 100}


def test_what_was_restored_is_not_taken_by_a_run_that_was_frozen_before(
    connection: Connection, program: Program
) -> None:
    with connection.begin():
        customer(connection, "anna", 100)
    first, second = (start(connection, program) for _ in range(2))
    each(connection, part_of(connection, first), *LOCKED)
    conclude(connection, first)
    undo(connection, first)
    each(connection, part_of(connection, second), *LOCKED)
    assert conclude(connection, second).points == 0


def test_a_run_that_is_not_completed_is_not_undone(connection: Connection, program: Program, cancelled: int) -> None:
    running = start(connection, program)
    undone = undo(connection, cancelled).run_id
    for run_id, said in (
        (running, "is running: only a completed run"),
        (undone, "is no run of"),
        (999, "is no run of"),
    ):
        with pytest.raises(LoyaltyError, match=said):
            undo(connection, run_id, "wrong")


@pytest.mark.parametrize("keys", [("one", "other"), ("one", "one")])
def test_two_at_once_give_it_back_once(
    module_database: Engine, unchecked: Connection, cancelled: int, keys: tuple[str, str]
) -> None:
    def beside(key: str) -> None:
        with module_database.connect() as own:
            undo_journey(own, cancelled, run_key=key, size=10)

    all_at_once(module_database, hold_accounts, *(partial(beside, key) for key in keys))
    with unchecked.begin():
        assert balances(unchecked) == {"anna": 100, "boris": 230}
        assert broken(reconcile(unchecked)) == []
