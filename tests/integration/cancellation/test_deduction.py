"""How many points are taken: what was approved, computed again under the lock, and never more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine

from cancellation import (
    LOCKED,
    LONG_AGO,
    RETURNED,
    actions,
    activate,
    cancel,
    conclude,
    customer,
    each,
    members,
    now,
    part_of,
    start,
    states,
)
from ledger import balance, balances, profile, record, settle
from loyalty.model.program import Program
from loyalty.services.deduct_points import deduct_points
from loyalty.services.promotions import deactivate_promotion, redeem_promotion
from loyalty.store.database import transaction

MONTH = timedelta(days=31)


def taken(connection: Connection, run_id: int, name: str = "anna") -> tuple[int, int]:
    """Points cancelled, and the balance that is left."""
    conclude(connection, run_id)
    points = members(connection, run_id)[name].points
    with connection.begin():
        return points, balance(connection, profile(connection, name))


def locked(connection: Connection, program: Program) -> int:
    run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED)
    return run_id


def test_points_earned_within_the_spared_time_before_the_freeze_are_kept(
    connection: Connection, program: Program
) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100)
        record(connection, anna, "points.loyalty", now() - MONTH - timedelta(days=1), 20)
        record(connection, anna, "points.loyalty", now() - timedelta(days=27), 7)
    assert taken(connection, locked(connection, program)) == (120, 7)


def test_a_run_may_spare_another_time(connection: Connection, program: Program) -> None:
    with connection.begin():
        customer(connection, "anna", 100, recent=30)
    totals = cancel(connection, program, spared={"count": 1, "unit": "days"})
    assert totals.points == 130


GAINS: dict[str, Callable[[Connection, int], object]] = {
    "earned now": lambda own, who: record(own, who, "points.loyalty", now(), 7),
    "earned long ago, recorded now": lambda own, who: record(own, who, "points.loyalty", now() - LONG_AGO, 7),
    "adjusted": lambda own, who: record(own, who, "points.adjust", now(), 7),
    "adjusted for long ago": lambda own, who: record(own, who, "points.adjust", now() - LONG_AGO, 7),
}


@pytest.mark.parametrize("kind", GAINS)
@pytest.mark.parametrize("under_lock", [False, True])
def test_gains_since_the_freeze_are_kept(connection: Connection, program: Program, kind: str, under_lock: bool) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100)
    run_id = start(connection, program)
    part = part_of(connection, run_id)
    each(connection, part, *LOCKED * under_lock, lambda own, _: GAINS[kind](own, anna))
    each(connection, part, *LOCKED * (not under_lock))
    assert taken(connection, run_id) == (100, 7)


def test_returns_since_the_freeze_are_not_kept(connection: Connection, program: Program) -> None:
    with connection.begin():
        customer(connection, "anna", 100)
        key = activate(connection, "anna", "coffee")
    run_id = start(connection, program)
    with connection.begin():
        deactivate_promotion(connection, "anna", key)
    each(connection, part_of(connection, run_id), *LOCKED)
    assert taken(connection, run_id) == (100, 0)
    assert members(connection, run_id)["anna"].returned == 0


def test_what_was_spent_since_the_freeze_is_not_there_to_take(connection: Connection, program: Program) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100)
    run_id = start(connection, program)
    with connection.begin():
        record(connection, anna, "points.loyalty", now(), 7)
        redeem_promotion(connection, "anna", activate(connection, "anna", "coffee"))
    each(connection, part_of(connection, run_id), *LOCKED)
    assert taken(connection, run_id) == (50, 7)


def test_what_is_told_late_is_counted_though_it_happened_before_the_freeze(
    connection: Connection, program: Program
) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100, recent=30)
    run_id = start(connection, program)
    with connection.begin():
        record(connection, anna, "client.activatePromotion", now() - MONTH, 60)
    each(connection, part_of(connection, run_id), *LOCKED)
    assert taken(connection, run_id) == (40, 30)


def test_what_was_being_booked_while_the_run_was_frozen_is_counted(
    connection: Connection, program: Program, module_database: Engine
) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100, recent=30)
    with transaction(module_database) as shop:
        record(shop, anna, "client.activatePromotion", now() - MONTH, 60)
        run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED)
    assert taken(connection, run_id) == (40, 30)


def test_nothing_to_cancel_completes_with_nothing_and_lets_go(connection: Connection, program: Program) -> None:
    with connection.begin():
        customer(connection, "anna", 50)
    run_id = start(connection, program)
    with connection.begin():
        redeem_promotion(connection, "anna", activate(connection, "anna", "coffee"))
    each(connection, part_of(connection, run_id), *RETURNED, deduct_points)
    row = members(connection, run_id)["anna"]
    assert (row.state, row.points, row.balance_after) == ("completed", 0, 0)
    assert row.released_at is not None
    assert actions(connection, "anna")["points.unlocked"] == 1
    with connection.begin():
        record(connection, row.profile_id, "points.loyalty", now(), 50)
        activate(connection, "anna", "coffee")


def test_an_amount_that_grew_since_it_was_approved_is_not_taken(
    module_database: Engine, connection: Connection, program: Program
) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100)
        customer(connection, "boris", 200)
    with module_database.connect() as shop, shop.begin():
        record(shop, anna, "points.loyalty", now() - LONG_AGO, 7)
        run_id = start(connection, program)
    each(connection, part_of(connection, run_id), *LOCKED)
    totals = conclude(connection, run_id)
    assert states(connection, run_id) == {"anna": ("failed", "amount_grew"), "boris": ("completed", None)}
    assert (totals.points, totals.failed_count) == (200, 1)
    assert actions(connection, "anna")["points.unlocked"] == 1
    with connection.begin():
        assert balances(connection) == {"anna": 107, "boris": 0}
        activate(connection, "anna", "coffee")


def test_a_ledger_of_every_kind_of_event_is_taken_as_it_was_approved(connection: Connection, program: Program) -> None:
    with connection.begin():
        anna = customer(connection, "anna", 100)
        gift = record(connection, anna, "points.loyalty", now() - 2 * LONG_AGO, 40)
        record(connection, anna, "points.loyalty", now() - timedelta(days=200), 60)
        record(connection, anna, "points.reverse", now() - LONG_AGO, 15, refers_to=gift)
        record(connection, anna, "points.adjust", now() - LONG_AGO, 9)
        record(connection, anna, "points.adjust", now() - LONG_AGO, -4)
        record(connection, anna, "points.adjust", now() - LONG_AGO, 3, refers_to=gift)
        redeem_promotion(connection, "anna", activate(connection, "anna", "coffee"))
    settle(connection, program, now().date())
    first = cancel(connection, program)
    with connection.begin():
        record(connection, anna, "points.loyalty", now() - LONG_AGO, 80)
        activate(connection, "anna", "coffee")
    second = cancel(connection, program)
    assert (first.points, second.points, second.returned, second.failed_count) == (87, 80, 50, 0)
