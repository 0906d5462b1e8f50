"""Promotions of members: deactivated in time, or the member fails and keeps them."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from cancellation import (
    ASKED,
    LOCKED,
    PROMOTIONS,
    RETURNED,
    activate,
    answer,
    conclude,
    confirm,
    customer,
    deactivate_outside,
    deadlines_come,
    each,
    locks_end,
    members,
    now,
    part_of,
    promotions,
    start,
    states,
    wait_for_deactivations,
)
from ledger import balances, program_of, record
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.apply_program import apply_program
from loyalty.services.chunks import Range
from loyalty.services.deactivate_promotions import deactivations_are_answered
from loyalty.services.fail_unconfirmed import fail_undeactivated
from loyalty.services.filter_clients import filter_clients
from loyalty.services.lock_balances import request_locks
from loyalty.services.promotions import deactivate_promotion, redeem_promotion


@pytest.fixture
def keys(connection: Connection) -> dict[str, UUID]:
    """Anna and Boris have promotions."""
    with connection.begin():
        customer(connection, "anna", 300)
        customer(connection, "boris", 300)
        return {
            "coffee": activate(connection, "anna", "coffee"),
            "mug": activate(connection, "anna", "mug"),
            "other": activate(connection, "boris", "mug"),
        }


@pytest.fixture
def asked(connection: Connection, program: Program, keys: dict[str, UUID]) -> Range:
    """They are asked of an outside engine."""
    part = part_of(connection, start(connection, program, engine="events"))
    each(connection, part, request_locks, lambda own, _: confirm(own, part.chunk.run_id, "anna", "boris"))
    each(connection, part, filter_clients, wait_for_deactivations)
    return part


def test_what_promotions_return_is_cancelled_with_the_rest(
    connection: Connection, asked: Range, keys: dict[str, UUID]
) -> None:
    def engine(own: Connection, _: Range) -> None:
        deactivate_outside(own, "anna", keys["coffee"], 50)
        deactivate_outside(own, "anna", keys["mug"], 120)
        deactivate_outside(own, "boris", keys["other"], 120)

    totals = conclude(connection, asked.chunk.run_id, engine)
    assert (totals.points, totals.returned, totals.failed_count) == (600, 290, 0)
    assert promotions(connection, "anna") == ["deactivated", "deactivated"]


def test_who_is_not_done_by_the_deadline_fails_alone_and_keeps_the_rest(
    connection: Connection, asked: Range, keys: dict[str, UUID]
) -> None:
    with connection.begin():
        deactivate_outside(connection, "anna", keys["coffee"], 50)
        deactivate_outside(connection, "boris", keys["other"], 120)
        assert not deactivations_are_answered(connection, asked.chunk)
        deadlines_come(connection, asked)
        assert deactivations_are_answered(connection, asked.chunk)
    totals = conclude(connection, asked.chunk.run_id)
    assert states(connection, asked.chunk.run_id) == {
        "anna": ("failed", "deactivation_timeout"),
        "boris": ("completed", None),
    }
    assert promotions(connection, "anna") == ["deactivated", "active"]
    assert (totals.points, totals.returned, totals.failed_count) == (300, 120, 1)
    with connection.begin():
        assert balances(connection) == {"anna": 180, "boris": 0}


def test_before_the_deadline_nobody_fails(connection: Connection, asked: Range) -> None:
    with connection.begin():
        assert fail_undeactivated(connection, asked) == 0


def test_what_was_only_asked_for_belongs_to_the_customer_again_after_failure(
    connection: Connection, asked: Range, keys: dict[str, UUID]
) -> None:
    each(connection, asked, deadlines_come, fail_undeactivated)
    with connection.begin():
        assert redeem_promotion(connection, "anna", keys["coffee"]).state == "redeemed"
        assert deactivate_promotion(connection, "anna", keys["mug"]).state == "deactivated"


def test_a_deactivation_that_comes_after_failure_changes_no_member(
    connection: Connection, asked: Range, keys: dict[str, UUID]
) -> None:
    each(connection, asked, deadlines_come, fail_undeactivated)
    failed = members(connection, asked.chunk.run_id)
    with connection.begin():
        deactivate_outside(connection, "anna", keys["mug"], 120)
    assert members(connection, asked.chunk.run_id) == failed
    with connection.begin():
        assert balances(connection, ["anna"]) == {"anna": 250}


def test_an_engine_that_gives_up_while_deactivating_fails_the_member(connection: Connection, asked: Range) -> None:
    with connection.begin():
        answer(connection, asked.chunk.run_id, "points.engineError", "anna", message="out of order")
    assert states(connection, asked.chunk.run_id)["anna"] == ("failed", "engine_error")
    assert promotions(connection, "anna") == ["active", "active"]


def test_what_the_engine_was_not_asked_for_is_refused_under_the_lock(
    connection: Connection, program: Program, keys: dict[str, UUID]
) -> None:
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    with connection.begin(), pytest.raises(DBAPIError, match="anna is locked until"):
        deactivate_outside(connection, "anna", keys["mug"], 120)


def test_a_promotion_past_its_days_is_no_reason_to_wait_and_returns_nothing(connection: Connection) -> None:
    program = program_of(promotions=[PROMOTIONS[0] | {"valid_days": 1}], batch_size=3)
    bought = {"promotion": "coffee"}
    with connection.begin():
        apply_program(connection, program)
        anna = customer(connection, "anna", 300)
        record(connection, anna, "client.activatePromotion", now() - timedelta(days=2), 50, params=bought)
    run_id = start(connection, program)
    journey.lock(connection, run_id, 0, size=1)
    assert journey.split_clients(connection, run_id, 0, size=1).member_count == 0
    totals = conclude(connection, run_id)
    assert (totals.points, totals.returned) == (250, 0)
    assert promotions(connection, "anna") == ["lapsed"]


def test_nobody_is_asked_for_without_a_live_lock(
    connection: Connection, program: Program, keys: dict[str, UUID]
) -> None:
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED, locks_end, filter_clients)
    assert promotions(connection, "anna") == ["active", "active"]


def test_a_lock_that_ends_before_promotions_are_asked_for_has_expired(
    connection: Connection, program: Program, keys: dict[str, UUID]
) -> None:
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED, locks_end)
    conclude(connection, run_id)
    assert set(states(connection, run_id).values()) == {("failed", "lock_expired")}


def test_a_lock_that_ends_after_promotions_were_returned_takes_nothing(
    connection: Connection, program: Program, keys: dict[str, UUID]
) -> None:
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *RETURNED, locks_end)
    assert conclude(connection, run_id).points == 0
    assert set(states(connection, run_id).values()) == {("failed", "lock_expired")}
    with connection.begin():
        assert balances(connection) == {"anna": 300, "boris": 300}


def test_a_promotion_asked_for_by_a_run_whose_lock_has_ended_is_not_returned_twice(
    connection: Connection, program: Program, keys: dict[str, UUID]
) -> None:
    first, second = (part_of(connection, start(connection, program)) for _ in range(2))
    each(connection, first, *ASKED, locks_end)
    each(connection, second, *LOCKED)
    conclude(connection, first.chunk.run_id)
    totals = conclude(connection, second.chunk.run_id)
    assert (totals.points, totals.returned) == (600, 290)
