"""Faults planted on purpose, which the journey does not notice: the ledger refuses them, or a check finds them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cancellation import (
    LOCKED,
    RETURNED,
    activate,
    cancel,
    conclude,
    confirm,
    customer,
    due_points,
    each,
    held_for_nothing,
    locks_end,
    now,
    part_of,
    program_with,
    start,
    states,
)
from ledger import balances, profile, record, wipe
from loyalty.model.program import Program
from loyalty.services import deactivate_promotions, deduct_points, undo_journey
from loyalty.services import reconcile as reconciling
from loyalty.services.apply_program import apply_program
from loyalty.services.lock_balances import request_locks
from loyalty.services.promotions import redeem_promotion
from loyalty.services.reconcile import broken, reconcile, reconcile_side_by_side
from loyalty.services.release_locks import release_locks
from loyalty.store import batch
from loyalty.store.database import transaction
from planting import Planter
from side_by_side import overtaken

LOCK_CHECK = "due.lock_run_id IS DISTINCT FROM :run_id OR due.lock_expires_at <= clock.now"
OWN_LOCK = "account.lock_run_id IS DISTINCT FROM told.run_id OR told.cancelled_at >= account.lock_expires_at"
OWN_KEY = "e.key <> loyalty.cancel_key(e.run_id, e.profile_id)"
AS_APPROVED = ("greatest(0, balance - spared)::bigint", "approved")
AS_IF_NOTHING_CAME = (
    ("pg_visible_in_snapshot(account.booked_by, run.frozen_snapshot)", "true"),
    ("account.latest_at < run.as_of", "true"),
)
RETURNED_TOO_OFTEN = text(
    "SELECT refers_to FROM loyalty.event WHERE action = 'client.deactivatePromotion' GROUP BY 1 HAVING count(*) > 1"
)


@pytest.fixture
def program() -> Program:
    return program_with()


@pytest.fixture
def connection(module_database: Engine, program: Program) -> Iterator[Connection]:
    """On it is Anna, with 100 points of long ago, and 100 that are spared."""
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program)
        customer(connection, "anna", 100, recent=100)
    with module_database.connect() as connection:
        yield connection


@pytest.fixture
def plant(module_database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planter]:
    planter = Planter(module_database, monkeypatch)
    yield planter
    planter.restore_functions()


def found(connection: Connection) -> set[str]:
    """The invariants that are broken, as one connection finds them and several do, of all at once and part by part."""
    with connection.begin():
        findings = reconcile(connection)
    assert reconcile_side_by_side(connection.engine) == findings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciling, "FEW_SLICES", 0)
        assert reconcile_side_by_side(connection.engine) == findings
    return {finding.invariant for finding in broken(findings)}


def left(connection: Connection) -> int:
    """Anna's balance."""
    with connection.begin():
        return balances(connection)["anna"]


def spend(connection: Connection, points: int = 0) -> None:
    """Anna has a coffee for 50 points, after earning some."""
    with connection.begin():
        if points:
            record(connection, profile(connection, "anna"), "points.loyalty", now(), points)
        redeem_promotion(connection, "anna", activate(connection, "anna", "coffee"))


def test_a_deduction_that_does_not_look_at_the_lock_is_refused(
    connection: Connection, program: Program, plant: Planter
) -> None:
    plant.statement(deduct_points, "cancel/weigh_points", (LOCK_CHECK, "false"))
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED, locks_end)
    with pytest.raises(DBAPIError, match="cancels points of customer anna without a live lock of its own"):
        each(connection, part, deduct_points.deduct_points)
    assert left(connection) == 200


def test_a_cancellation_outside_its_lock_is_found(connection: Connection, program: Program, plant: Planter) -> None:
    plant.statement(deduct_points, "cancel/weigh_points", (LOCK_CHECK, "false"))
    plant.function("loyalty.lock_accounts", (OWN_LOCK, "false"))
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED, locks_end)
    spend(connection)
    assert conclude(connection, run_id).points == 50
    assert found(connection) == {"5_cancelled_under_a_lock"}


def plant_a_retry_that_forgets(plant: Planter) -> None:
    """A deduction takes what was approved, under a new key, whatever was taken before."""
    another_key = ("loyalty.cancel_key(:run_id, profile_id)", "gen_random_uuid()")
    unlimited = ("WHEN due.amount > due.approved + due.came_back THEN 'amount_grew'", "")
    plant.statement(deduct_points, "cancel/weigh_points", (LOCK_CHECK, "false"), AS_APPROVED, unlimited)
    plant.statement(deduct_points, "cancel/deduct_points", another_key)
    plant.statement(batch, "cancel/lock_deductible", ("IN ('locked', 'deactivating')", "<> 'failed'"))
    plant.function("loyalty.lock_accounts", (OWN_LOCK, "false"))


def test_a_cancellation_under_another_key_is_refused(connection: Connection, program: Program, plant: Planter) -> None:
    plant_a_retry_that_forgets(plant)
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    with pytest.raises(DBAPIError, match="under a key that is not the one it must have"):
        each(connection, part, deduct_points.deduct_points)
    assert left(connection) == 200


def test_a_second_cancellation_of_the_same_run_is_found(
    connection: Connection, program: Program, plant: Planter
) -> None:
    plant_a_retry_that_forgets(plant)
    plant.function("loyalty.lock_accounts", (OWN_KEY, "false"))
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED, deduct_points.deduct_points)
    assert conclude(connection, run_id).points == 100
    assert left(connection) == 0
    assert "3_cancelled_once" in found(connection)


@pytest.mark.parametrize("fault", [[AS_APPROVED], AS_IF_NOTHING_CAME], ids=["approved", "as if nothing had come"])
def test_an_amount_of_the_snapshot_is_found_by_telling_it_from_the_events(
    connection: Connection, program: Program, plant: Planter, fault: list[tuple[str, str]]
) -> None:
    plant.statement(deduct_points, "cancel/weigh_points", *fault)
    run_id = start(connection, program)
    spend(connection, 60)
    each(connection, part_of(connection, run_id), *LOCKED)
    assert conclude(connection, run_id).points == 100
    assert found(connection) == set()
    assert due_points(connection, run_id) == {"anna": 50}


def test_a_lock_that_is_not_released_is_found(connection: Connection, program: Program, plant: Planter) -> None:
    plant.function("loyalty.fail_members", ("account.lock_run_id = the_run AND account.lock_expires_at > now", "false"))
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED, release_locks)
    assert conclude(connection, run_id).failed_count == 1
    assert found(connection) == {"5_nobody_stays_locked"}
    assert held_for_nothing(connection) == ["anna"]


def plant_a_deactivation_that_forgets(plant: Planter) -> None:
    """A promotion is deactivated under a new key, whatever became of it before."""
    every_time = ("activation.state = 'deactivating' AND ", "")
    another_key = ("md5('deactivated:' || activation.activation)::uuid", "gen_random_uuid()")
    plant.statement(deactivate_promotions, "cancel/deactivate_promotions", every_time, another_key)


def test_a_promotion_that_returns_its_points_twice_is_refused(
    connection: Connection, program: Program, plant: Planter
) -> None:
    plant_a_deactivation_that_forgets(plant)
    with connection.begin():
        activate(connection, "anna", "coffee")
    part = part_of(connection, start(connection, program))
    each(connection, part, *RETURNED)
    with pytest.raises(DBAPIError, match="is deactivated already"):
        each(connection, part, deactivate_promotions.deactivate_promotions)
    assert left(connection) == 200


def test_a_promotion_that_returned_its_points_twice_is_found(
    connection: Connection, program: Program, plant: Planter
) -> None:
    plant_a_deactivation_that_forgets(plant)
    plant.function("loyalty.follow_promotions", ("    IF FOUND THEN", "    IF false THEN"))
    with connection.begin():
        key = activate(connection, "anna", "coffee")
    run_id = start(connection, program)
    again = deactivate_promotions.deactivate_promotions
    each(connection, part_of(connection, run_id), *RETURNED, again, release_locks)
    assert conclude(connection, run_id).failed_count == 1
    assert left(connection) == 250
    assert found(connection) == {"3_cancelled_once"}
    with connection.begin():
        assert connection.scalars(RETURNED_TOO_OFTEN).all() == [key]


def test_spending_under_a_lock_is_found(connection: Connection, program: Program, plant: Planter) -> None:
    plant.function("loyalty.refuse_while_locked", ("until > clock_timestamp()", "false"))
    plant.function("loyalty.lock_accounts", ("told.spent_at < account.lock_expires_at AS spends", "false AS spends"))
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED)
    spend(connection)
    assert conclude(connection, run_id).points == 50
    assert found(connection) == {"4_locked_customers_cannot_spend"}


def test_a_lock_taken_from_another_run_is_refused(connection: Connection, program: Program, plant: Planter) -> None:
    plant.function("loyalty.confirm_locks", ("coalesce(account.lock_expires_at <= now, true)", "true"))
    first, second = (part_of(connection, start(connection, program, engine="events")) for _ in range(2))
    each(connection, first, request_locks, lambda own, _: confirm(own, first.chunk.run_id, "anna"))
    with pytest.raises(DBAPIError, match="locked by another run"):
        each(connection, second, request_locks, lambda own, _: confirm(own, second.chunk.run_id, "anna"))
    assert states(connection, first.chunk.run_id) == {"anna": ("locked", None)}


def test_points_given_back_twice_are_found(connection: Connection, program: Program, plant: Planter) -> None:
    every_time = ("back.key IS NOT NULL", "false")
    another_key = ("loyalty.restore_key(key)", "gen_random_uuid()")
    plant.statement(undo_journey, "cancel/restore_points", every_time, another_key)
    run_id = cancel(connection, program).run_id
    for key in ("one", "other"):
        assert undo_journey.undo_journey(connection, run_id, run_key=key, size=1).points == -100
    assert left(connection) == 300
    assert found(connection) == {"3_cancelled_once"}


def test_a_member_that_fails_after_its_points_were_taken_is_found(
    module_database: Engine, connection: Connection, program: Program, plant: Planter
) -> None:
    plant.function("loyalty.fail_members", ("AND member.state NOT IN ('completed', 'failed')", ""))
    run_id = start(connection, program)
    part = part_of(connection, run_id)
    each(connection, part, *LOCKED)
    twice = [lambda own: deduct_points.deduct_points(own, part)] * 2
    overtaken(module_database, *twice)
    assert conclude(connection, run_id).failed_count == 1
    assert states(connection, run_id) == {"anna": ("failed", "lock_expired")}
    assert found(connection) == {"6_members_add_up"}
