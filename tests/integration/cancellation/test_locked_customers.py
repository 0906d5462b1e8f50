"""What a customer can do while the balance is locked, and what not."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cancellation import (
    LOCKED,
    Prepared,
    Step,
    activate,
    conclude,
    customer,
    each,
    hold_accounts,
    locks_end,
    members,
    now,
    part_of,
    promotions,
    start,
)
from ledger import balance, profile, record
from loyalty.model.program import Program
from loyalty.services.chunks import Range
from loyalty.services.filter_clients import filter_clients
from loyalty.services.promotions import activate_promotion, deactivate_promotion, redeem_promotion
from loyalty.services.refusals import RefusedError
from loyalty.services.release_locks import release_locks
from side_by_side import overtaken


@pytest.fixture
def locked(connection: Connection, program: Program) -> Range:
    """Anna, who has paid for a coffee, is locked."""
    with connection.begin():
        customer(connection, "anna", 200)
        activate(connection, "anna", "coffee")
    part = part_of(connection, start(connection, program))
    each(connection, part, *LOCKED)
    return part


SPEND = {
    "activate": lambda connection, key: activate_promotion(connection, "anna", "coffee", key=uuid4()),
    "deactivate": lambda connection, key: deactivate_promotion(connection, "anna", key),
}
LATER_BY_A_DAY = """
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, recorded_at)
VALUES (:id, gen_random_uuid(), 'client.activatePromotion', now(), -50, '{"promotionRequireRedeemedPoints": 50}',
        now() + interval '1 day')
"""


def paid_for(connection: Connection) -> UUID:
    return connection.execute(text("SELECT activation FROM loyalty.promotion_activation")).scalar_one()


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
def test_activating_and_deactivating_are_refused_with_the_time_when_the_lock_ends(
    connection: Connection, locked: Range, verb: str
) -> None:
    until = members(connection, locked.chunk.run_id)["anna"].lock_expires_at
    message = f"anna is locked until {until:%Y-%m-%dT%H:%M:%SZ}"
    with connection.begin():
        key = paid_for(connection)
        with pytest.raises(RefusedError, match=message) as refused:
            SPEND[verb](connection, key)
    assert (refused.value.reason, refused.value.until) == ("locked", until)


@pytest.mark.parametrize("action", ["client.activatePromotion", "client.deactivatePromotion"])
def test_an_event_that_goes_round_the_shop_is_refused_too(connection: Connection, locked: Range, action: str) -> None:
    with pytest.raises(DBAPIError, match="anna is locked until") as refused, connection.begin():
        record(connection, profile(connection, "anna"), action, now(), 50, refers_to=paid_for(connection))
    assert refused.value.orig.sqlstate == "LY423"


def test_an_event_that_waits_until_the_lock_has_ended_is_refused(
    module_database: Engine, connection: Connection, locked: Range
) -> None:
    with connection.begin():
        anna = profile(connection, "anna")
    with pytest.raises(DBAPIError, match="anna is locked until"):
        overtaken(
            module_database,
            hold_accounts,
            lambda other: record(other, anna, "client.activatePromotion", now(), 50),
            then=lambda one: release_locks(one, locked),
        )


@pytest.mark.parametrize("end", [release_locks, locks_end])
def test_once_the_lock_has_ended_the_customer_may_spend_again(connection: Connection, locked: Range, end: Step) -> None:
    each(connection, locked, end)
    with connection.begin():
        deactivate_promotion(connection, "anna", paid_for(connection))
        activate_promotion(connection, "anna", "coffee", key=uuid4())


def test_a_retry_of_what_was_done_before_the_lock_is_answered_under_it(
    connection: Connection, prepared: Prepared
) -> None:
    keys = uuid4(), uuid4()
    with connection.begin():
        customer(connection, "anna", 200)
        made = [activate_promotion(connection, "anna", "coffee", key=key) for key in keys]
        ended = deactivate_promotion(connection, "anna", keys[0])
    prepared(*LOCKED)
    with connection.begin():
        assert activate_promotion(connection, "anna", "coffee", key=keys[1]) == made[1]
        assert deactivate_promotion(connection, "anna", keys[0]) == ended


def test_what_was_paid_for_is_redeemed_under_the_lock_and_returns_nothing(
    connection: Connection, locked: Range
) -> None:
    with connection.begin():
        assert redeem_promotion(connection, "anna", paid_for(connection)).state == "redeemed"
    totals = conclude(connection, locked.chunk.run_id)
    assert (totals.points, totals.returned) == (150, 0)


def test_nothing_is_redeemed_once_it_is_being_deactivated(connection: Connection, locked: Range) -> None:
    each(connection, locked, filter_clients)
    with connection.begin(), pytest.raises(RefusedError, match="it is deactivating") as refused:
        redeem_promotion(connection, "anna", paid_for(connection))
    assert refused.value.reason == "conflict"
    assert conclude(connection, locked.chunk.run_id).returned == 50


@pytest.mark.parametrize("till_first", [True, False])
def test_of_the_till_and_the_journey_whoever_holds_the_row_first_wins(
    module_database: Engine, connection: Connection, locked: Range, till_first: bool
) -> None:
    with connection.begin():
        key = paid_for(connection)

    def redeem(own: Connection) -> str:
        try:
            return redeem_promotion(own, "anna", key).state
        except RefusedError as error:
            return error.reason

    pair = (redeem, lambda own: filter_clients(own, locked).promotion_count)
    results = overtaken(module_database, *(pair if till_first else reversed(pair)))
    assert results == (("redeemed", 0) if till_first else (1, "conflict"))
    conclude(connection, locked.chunk.run_id)
    assert promotions(connection, "anna") == ["redeemed" if till_first else "deactivated"]


def test_purchases_are_booked_and_kept(connection: Connection, locked: Range) -> None:
    with connection.begin():
        anna = profile(connection, "anna")
        record(connection, anna, "transaction.charge", now(), params={"$totalAmount": 30})
        record(connection, anna, "points.loyalty", now(), 30)
        assert balance(connection, anna) == 180
    totals = conclude(connection, locked.chunk.run_id)
    with connection.begin():
        assert (totals.points, balance(connection, anna)) == (200, 30)


def test_a_writer_that_claims_another_time_is_refused_too(unchecked: Connection, prepared: Prepared) -> None:
    prepared(*LOCKED)
    with pytest.raises(DBAPIError, match="anna is locked until"), unchecked.begin():
        unchecked.execute(text(LATER_BY_A_DAY), {"id": profile(unchecked, "anna")})
