"""Promotions at the shop: paid for once, ended once, and refused with a reason."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cancellation import PROMOTIONS, activate, customer, now, promotions
from ledger import balance, profile, program_of, record
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.promotions import (
    Activation,
    activate_promotion,
    deactivate_promotion,
    redeem_promotion,
)
from loyalty.services.refusals import RefusedError
from side_by_side import overtaken

DAY = timedelta(days=1)


@pytest.fixture
def program() -> Program:
    today = now().date()
    extra = [
        {"name": "soon", "title": "From tomorrow", "required_points": 10, "valid_from": today + DAY},
        {"name": "over", "title": "Until yesterday", "required_points": 10, "valid_to": today - DAY},
        {"name": "short", "title": "For a day", "required_points": 10, "valid_days": 1},
        {"name": "today", "title": "Until today", "required_points": 10, "valid_days": 9, "valid_to": today},
    ]
    return program_of(promotions=[*PROMOTIONS, *extra])


@pytest.fixture
def anna(connection: Connection) -> int:
    with connection.begin():
        return customer(connection, "anna", 100)


def end(how: str, connection: Connection, key: UUID) -> Activation:
    return (redeem_promotion if how == "redeemed" else deactivate_promotion)(connection, "anna", key)


def test_an_activation_is_paid_for_at_once(connection: Connection, anna: int) -> None:
    key = uuid4()
    with connection.begin():
        made = activate_promotion(connection, "anna", "coffee", key=key)
        assert made == Activation(key, "coffee", 50, "active", None)
        assert balance(connection, anna) == 50


def test_the_same_key_again_is_the_same_activation(connection: Connection, anna: int) -> None:
    key = uuid4()
    with connection.begin():
        made = activate_promotion(connection, "anna", "coffee", key=key)
        assert activate_promotion(connection, "anna", "coffee", key=key) == made
        assert balance(connection, anna) == 50
        with pytest.raises(RefusedError, match="is that of an activation of coffee, and not of mug") as refused:
            activate_promotion(connection, "anna", "mug", key=key)
        assert refused.value.reason == "conflict"


def test_the_same_key_from_two_at_once_is_one_activation(
    module_database: Engine, connection: Connection, anna: int
) -> None:
    key = uuid4()
    one, other = overtaken(module_database, *[lambda own: activate_promotion(own, "anna", "coffee", key=key)] * 2)
    assert one == other
    with connection.begin():
        assert balance(connection, anna) == 50


def test_two_at_once_cannot_spend_the_same_points(module_database: Engine, connection: Connection, anna: int) -> None:
    with connection.begin():
        activate(connection, "anna", "coffee")
    with pytest.raises(RefusedError, match="costs 50 points, and customer anna has 0"):
        overtaken(module_database, *[lambda own: activate_promotion(own, "anna", "coffee", key=uuid4())] * 2)
    assert promotions(connection, "anna") == ["active", "active"]


@pytest.mark.parametrize("how", ["redeemed", "deactivated"])
def test_an_activation_ends_once_however_often_it_is_asked(
    module_database: Engine, connection: Connection, anna: int, how: str
) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
    one, other = overtaken(module_database, *[lambda own: end(how, own, key)] * 2)
    with connection.begin():
        assert one == other == end(how, connection, key)
        assert (one.state, balance(connection, anna)) == (how, 50 if how == "redeemed" else 100)


@pytest.mark.parametrize(("first", "second"), [("redeemed", "deactivated"), ("deactivated", "redeemed")])
def test_of_two_ends_at_once_the_first_one_counts(
    module_database: Engine, connection: Connection, anna: int, first: str, second: str
) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
    with pytest.raises(RefusedError, match=f"cannot be {second}: it is {first}"):
        overtaken(module_database, lambda one: end(first, one, key), lambda other: end(second, other, key))
    assert promotions(connection, "anna") == [first]


def test_a_deactivation_returns_what_was_paid_whatever_it_costs_now(
    connection: Connection, program: Program, anna: int
) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
        apply_program(connection, program_of(promotions=[PROMOTIONS[0] | {"required_points": 60}]))
        assert deactivate_promotion(connection, "anna", key).points == 50
        assert balance(connection, anna) == 100


REFUSED = {
    "mug": ("too_few_points", "the promotion mug costs 120 points, and customer anna has 100"),
    "tea": ("unknown", 'there is no promotion "tea"'),
    "soon": ("conflict", "can be activated from .* to ever, and today is"),
    "over": ("conflict", "can be activated from ever to .*, and today is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_activated_says_why(connection: Connection, anna: int, name: str) -> None:
    reason, said = REFUSED[name]
    with connection.begin():
        with pytest.raises(RefusedError, match=said) as refused:
            activate_promotion(connection, "anna", name, key=uuid4())
        assert (refused.value.reason, balance(connection, anna)) == (reason, 100)


def test_a_promotion_that_is_no_longer_offered_is_unknown_but_keeps_its_activations(
    connection: Connection, anna: int
) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
        apply_program(connection, program_of())
        with pytest.raises(RefusedError, match="there is no promotion"):
            activate_promotion(connection, "anna", "coffee", key=uuid4())
        assert redeem_promotion(connection, "anna", key).state == "redeemed"


@pytest.mark.parametrize("how", ["redeemed", "deactivated"])
def test_nobody_ends_what_is_not_theirs(connection: Connection, anna: int, how: str) -> None:
    with connection.begin():
        customer(connection, "boris", 100)
        for key in (uuid4(), activate(connection, "boris", "coffee")):
            with pytest.raises(RefusedError, match="anna has no activation") as refused:
                end(how, connection, key)
            assert refused.value.reason == "unknown"


def test_somebody_unknown_is_refused(connection: Connection) -> None:
    with connection.begin():
        with pytest.raises(RefusedError, match='no customer "zoe" is known') as refused:
            activate_promotion(connection, "zoe", "coffee", key=uuid4())
        assert refused.value.reason == "unknown"


@pytest.mark.parametrize("how", ["redeemed", "deactivated"])
def test_a_promotion_past_its_days_is_worth_nothing(connection: Connection, anna: int, how: str) -> None:
    bought = {"promotion": "short"}
    with connection.begin():
        key = record(connection, anna, "client.activatePromotion", now() - 2 * DAY, 10, params=bought)
        with pytest.raises(RefusedError, match=f"cannot be {how}: it is lapsed") as refused:
            end(how, connection, key)
        assert (refused.value.reason, balance(connection, anna)) == ("conflict", 90)


def test_an_activation_lapses_after_its_days_and_not_past_the_promotions_last(
    connection: Connection, anna: int
) -> None:
    with connection.begin():
        short = activate_promotion(connection, "anna", "short", key=uuid4())
        today = activate_promotion(connection, "anna", "today", key=uuid4())
    assert DAY - timedelta(minutes=1) < short.lapses_at - now() <= DAY
    assert today.lapses_at == now().replace(hour=0, minute=0, second=0, microsecond=0) + DAY


@pytest.mark.parametrize(
    ("action", "points", "said"),
    [
        ("client.redeemPromotion", None, "is redeemed already"),
        ("client.deactivatePromotion", 50, "is redeemed already"),
    ],
)
def test_an_event_that_ends_it_a_second_time_is_refused(
    connection: Connection, anna: int, action: str, points: int | None, said: str
) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
        redeem_promotion(connection, "anna", key)
    with pytest.raises(DBAPIError, match=said) as refused, connection.begin():
        record(connection, anna, action, now(), points, refers_to=key)
    assert refused.value.orig.sqlstate == "LY409"


def test_an_event_that_returns_other_than_what_was_paid_is_refused(connection: Connection, anna: int) -> None:
    with connection.begin():
        key = activate(connection, "anna", "coffee")
    with pytest.raises(DBAPIError, match="cost 50 points, and not 51"), connection.begin():
        record(connection, profile(connection, "anna"), "client.deactivatePromotion", now(), 51, refers_to=key)


def test_two_events_that_end_it_in_one_statement_are_refused(connection: Connection, anna: int) -> None:
    twice = text(
        "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to) "
        "SELECT :id, gen_random_uuid(), 'client.deactivatePromotion', now(), 50, "
        "jsonb_build_object('returnedPoints', 50), :key FROM generate_series(1, 2)"
    )
    with connection.begin():
        key = activate(connection, "anna", "coffee")
    with pytest.raises(DBAPIError, match="ends twice at once"), connection.begin():
        connection.execute(twice, {"id": anna, "key": key})


def test_whoever_pays_looks_for_no_members_of_runs(module_database: Engine, connection: Connection, anna: int) -> None:
    # A session keeps the plan that it made when there were none, and would read all that a run has since then.
    with module_database.execution_options(isolation_level="AUTOCOMMIT").connect() as other:
        other.execute(text("VACUUM ANALYZE loyalty.journey_member"))
    with connection.begin():
        before = looks_at(connection, "account"), looks_at(connection, "journey_member")
        pay_for_everything(connection)
        assert looks_at(connection, "account") > before[0]
        assert looks_at(connection, "journey_member") == before[1]


def pay_for_everything(connection: Connection) -> None:
    """Anna has paid twice, and ended both activations."""
    keys = [activate_promotion(connection, "anna", "coffee", key=uuid4()).activation for _ in range(2)]
    deactivate_promotion(connection, "anna", keys[0])
    redeem_promotion(connection, "anna", keys[1])


def looks_at(connection: Connection, table: str) -> int:
    """How often this session has begun to read the table, by an index or as it lies, and not reported it yet."""
    looks = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables WHERE relid = to_regclass(:name)"
    return connection.scalar(text(looks), {"name": f"loyalty.{table}"})
