"""A second round takes up those who failed for a reason that may come again, as of the instant of the first."""

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from cancellation import (
    LONG_AGO,
    Prepared,
    activate,
    answer,
    conclude,
    confirm,
    customer,
    each,
    members,
    now,
    part_of,
    points_by_customer,
    start,
    states,
)
from ledger import balances, profile, record
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.list_failures import failures_by_reason
from loyalty.services.lock_balances import request_locks

KEPT = text(
    "SELECT as_of, frozen_at, spared_from, fingerprint, definitions FROM loyalty.journey_run WHERE run_id = :id"
)
MOVES_TO_FRANCE = text(
    "UPDATE loyalty.profile SET attributes = jsonb_build_object('country', 'FR') WHERE customer_id = 'engine_error'"
)
LOCK_ENDS = text(
    "UPDATE loyalty.account SET lock_expires_at = now() FROM loyalty.profile "
    "WHERE profile.profile_id = account.profile_id AND customer_id = 'lock_expired'"
)
REASONS = ("lock_timeout", "lock_expired", "deactivation_timeout", "engine_error", "amount_grew", "excluded")


@pytest.fixture
def first(module_database: Engine, connection: Connection, program: Program) -> int:
    """A completed run in which everybody but Anna failed, each for the reason that is the customer's name."""
    with connection.begin():
        for name in ("anna", *REASONS):
            customer(connection, name, 200, country="DE" if name == "excluded" else "PL")
        activate(connection, "deactivation_timeout", "mug")
        grew = profile(connection, "amount_grew")
    with module_database.connect() as shop, shop.begin():
        record(shop, grew, "points.loyalty", now() - LONG_AGO, 7)
        run_id = start(connection, program, engine="events", exclude_countries=["DE"])
    part = part_of(connection, run_id)
    each(connection, part, request_locks)
    with connection.begin():
        confirm(connection, run_id, "anna", *set(REASONS) - {"lock_timeout", "engine_error", "excluded"})
        answer(connection, run_id, "points.engineError", "engine_error", message="no")
    with connection.begin():
        connection.execute(LOCK_ENDS)
    conclude(connection, run_id)
    return run_id


def second_round(connection: Connection, program: Program, of: int, **asked: Any) -> int:
    run_id = start(connection, program, second_round_of=of, **asked)
    journey.lock(connection, run_id, 0, size=10)
    conclude(connection, run_id)
    return run_id


def test_it_takes_only_those_who_may_come_again(connection: Connection, program: Program, first: int) -> None:
    found = states(connection, first)
    assert found.pop("anna") == ("completed", None)
    assert found == {name: ("failed", name) for name in REASONS}
    with connection.begin():
        again = {row["reason"] for row in failures_by_reason(connection, first) if row["second_round"]}
    assert again == set(REASONS[:4])
    second = second_round(connection, program, first)
    assert points_by_customer(members(connection, second)) == {
        "lock_timeout": 200,
        "lock_expired": 200,
        "deactivation_timeout": 200,
        "engine_error": 200,
    }


def test_it_keeps_the_instant_and_the_definitions_of_the_first(
    connection: Connection, program: Program, first: int
) -> None:
    second = start(connection, program, second_round_of=first)
    with connection.begin():
        was, is_now = (connection.execute(KEPT, {"id": run_id}).one() for run_id in (first, second))
    assert was == is_now


def test_what_came_in_since_the_first_is_kept(connection: Connection, program: Program, first: int) -> None:
    with connection.begin():
        late = profile(connection, "lock_timeout")
        record(connection, late, "points.loyalty", now(), 30)
    second_round(connection, program, first)
    with connection.begin():
        assert balances(connection, ["lock_timeout"]) == {"lock_timeout": 30}


def test_it_applies_the_exclusions_anew(connection: Connection, program: Program, first: int) -> None:
    with connection.begin():
        connection.execute(MOVES_TO_FRANCE)
    second = second_round(connection, program, first, exclude_countries=["FR"])
    row = members(connection, second)["engine_error"]
    assert (row.reason, row.detail, row.points) == ("excluded", "country FR", 0)


def test_a_round_that_was_taken_up_already_takes_nothing_more(
    connection: Connection, program: Program, first: int
) -> None:
    second_round(connection, program, first)
    with connection.begin():
        before = balances(connection)
    again = second_round(connection, program, first)
    assert set(points_by_customer(members(connection, again)).values()) == {0}
    with connection.begin():
        assert balances(connection) == before


def test_a_second_round_has_a_second_round(connection: Connection, program: Program, first: int) -> None:
    second = start(connection, program, second_round_of=first, engine="events")
    each(connection, part_of(connection, second), request_locks)
    with connection.begin():
        confirm(connection, second, "lock_timeout", "lock_expired")
    conclude(connection, second)
    third = second_round(connection, program, second)
    assert points_by_customer(members(connection, third)) == {"deactivation_timeout": 200, "engine_error": 200}
    with connection.begin():
        was, is_now = (connection.execute(KEPT, {"id": run_id}).one() for run_id in (first, third))
        assert was == is_now
        left = balances(connection)
    assert {name for name, points in left.items() if points} == {"amount_grew", "excluded"}


def test_the_same_second_round_is_frozen_once(connection: Connection, program: Program, first: int) -> None:
    one, other = (start(connection, program, key="again", second_round_of=first) for _ in range(2))
    assert one == other
    assert len(members(connection, one)) == 4


def test_only_a_completed_cancellation_has_one(connection: Connection, program: Program, prepared: Prepared) -> None:
    part = prepared()
    with pytest.raises(LoyaltyError, match="is running: only a completed run has a second round"):
        start(connection, program, second_round_of=part.chunk.run_id)
    with pytest.raises(LoyaltyError, match="is no run of the batch cancellation"):
        start(connection, program, second_round_of=9_999)


def test_it_cannot_speak_about_another_instant(program: Program) -> None:
    with pytest.raises(LoyaltyError, match="a second round keeps the as_of of the first"):
        journey.settings_of(program, second_round_of=1, as_of=now())
