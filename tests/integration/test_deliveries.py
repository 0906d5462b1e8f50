"""Subscribers are told what journeys write: signed, in order, again until they have it, and nothing is lost."""

import base64
import threading
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, text
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from cancellation import QUICK, cancel
from ledger import profile, program_of, record, settle
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.deliver_events import (
    PATIENCE,
    Told,
    dead_letters,
    deliver_events,
    deliveries,
    replay,
    secret_of,
    signature,
)
from loyalty.services.undo_journey import undo_journey
from shop import NOON
from webhooks import SECRET, Hook, listening

CUSTOMERS = 6


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening(Hook()) as hook:
        yield hook


def program(hook: Hook, **more: Any) -> Program:
    given = {"name": "shop", "url": hook.address, "secret": "SHOP_SECRET", "batch_size": 4} | more
    return program_of(validity={"points.loyalty": 10}, subscribers=[given], cancellation=QUICK)


@pytest.fixture
def connection(database: Engine, hook: Hook) -> Iterator[Connection]:
    """A night has been settled: each customer lost points at two midnights."""
    with database.connect() as connection:
        ours = program(hook)
        with connection.begin():
            apply_program(connection, ours)
            for number in range(CUSTOMERS):
                who = profile(connection, f"c{number}")
                for day in (0, 1):
                    record(connection, who, "points.loyalty", NOON.replace(day=1 + day), 10 + number)
        settle(connection, ours, date(2026, 1, 20))
        yield connection


def tell(connection: Connection, hook: Hook, **more: Any) -> Told:
    (subscriber,) = program(hook, **more).subscribers
    with httpx.Client() as client:
        return deliver_events(connection, subscriber, secret_of(subscriber, {"SHOP_SECRET": SECRET}), client)


def tell_all(connection: Connection, hook: Hook, **more: Any) -> None:
    while tell(connection, hook, **more) != Told():
        hurry(connection)


def hurry(connection: Connection) -> None:
    """Whatever waits may be tried at once."""
    with connection.begin():
        connection.execute(text("UPDATE loyalty.delivery SET not_before = NULL"))


def state(connection: Connection) -> dict[str, Any]:
    with connection.begin():
        (found,) = deliveries(connection)
        return found


def test_everything_that_a_journey_wrote_is_told_once_and_in_order(connection: Connection, hook: Hook) -> None:
    tell_all(connection, hook)
    assert [len(call) for call in hook.calls] == [4, 4, 4]
    events = hook.events
    assert len({event["key"] for event in events}) == CUSTOMERS * 2
    for number in range(CUSTOMERS):
        own = [event for event in events if event["customer_id"] == f"c{number}"]
        assert [(one["action"], one["points"]) for one in own] == [("points.expire", -10 - number)] * 2
        assert [one["params"]["midnight"] for one in own] == sorted(one["params"]["midnight"] for one in own)
    assert (state(connection)["delivered"], state(connection)["waiting"]) == (CUSTOMERS * 2, 0)
    assert tell(connection, hook) == Told()


def test_the_cancellation_and_its_undo_are_told_too(connection: Connection, hook: Hook) -> None:
    with connection.begin():
        record(connection, profile(connection, "c0"), "points.loyalty", NOON, 50)
    cancel(connection, program(hook))
    undo_journey(connection, 2, run_key="undo", size=10)
    tell_all(connection, hook)
    own = [event["action"] for event in hook.events if event["customer_id"] == "c0" and event["run"] > 1]
    assert own[-2:] == ["points.cancel", "points.restore"]


def test_what_people_and_shops_do_is_not_told(connection: Connection, hook: Hook) -> None:
    tell_all(connection, hook)
    with connection.begin():
        record(connection, profile(connection, "c0"), "points.adjust", NOON, 50)
    assert tell(connection, hook) == Told()


def test_a_subscriber_hears_of_its_actions_alone(connection: Connection, hook: Hook) -> None:
    with connection.begin():
        apply_program(connection, program(hook, actions=["points.cancel"]))
        connection.execute(text("DELETE FROM loyalty.delivery"))
        record(connection, profile(connection, "c0"), "points.loyalty", NOON, 50)
    cancel(connection, program(hook, actions=["points.cancel"]))
    tell_all(connection, hook)
    assert {event["action"] for event in hook.events} == {"points.cancel"}


def test_a_day_without_an_answer_loses_nothing_and_stops_nothing(connection: Connection, hook: Hook) -> None:
    hook.answers = [500, 503, 429, 404, 302]
    faults = []
    for _ in range(5):
        faults.append(tell(connection, hook).fault)
        assert tell(connection, hook) == Told(), "it waits before it tries again"
        hurry(connection)
    assert [str(fault)[:3] for fault in faults] == ["500", "503", "429", "404", "302"]
    settle(connection, program(hook), date(2026, 1, 25))
    tell_all(connection, hook)
    assert len({event["key"] for event in hook.events}) == len(hook.events) == CUSTOMERS * 2


def test_nobody_at_the_address_is_a_fault_that_is_said(connection: Connection, hook: Hook) -> None:
    told = tell(connection, hook, url="http://127.0.0.1:9/none", timeout_seconds=1)
    assert told.fault
    assert told.fault.startswith("ConnectError")
    assert state(connection)["fault"] == told.fault


def test_tries_come_later_and_later(connection: Connection, hook: Hook) -> None:
    waits = text("SELECT round(extract(epoch FROM max(not_before) - clock_timestamp())) FROM loyalty.delivery")
    found = []
    for _ in range(10):
        hook.answers = [500]
        tell(connection, hook)
        with connection.begin():
            found.append(int(connection.scalar(waits)))
        hurry(connection)
    assert found == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_one_that_cannot_be_taken_stops_no_other(connection: Connection, hook: Hook) -> None:
    hook.poison = "c1"
    tell_all(connection, hook)
    assert {event["customer_id"] for event in hook.events} == {f"c{n}" for n in range(CUSTOMERS)} - {"c1"}
    with connection.begin():
        dead = dead_letters(connection)
    assert [one["customer_id"] for one in dead] == ["c1", "c1"]
    assert {one["attempts"] for one in dead} <= {PATIENCE + 1, PATIENCE + 2}
    assert dead[0]["fault"].startswith("422")
    hook.poison = None
    with connection.begin():
        assert replay(connection, "nobody") == 0
        assert replay(connection) == 2
    tell_all(connection, hook)
    assert len({event["key"] for event in hook.events}) == CUSTOMERS * 2


def test_after_too_long_it_is_a_dead_letter(connection: Connection, hook: Hook) -> None:
    hook.answers = [500, 500]
    tell(connection, hook)
    with connection.begin():
        long_ago = "not_before = NULL, first_tried_at = now() - interval '73 h'"
        connection.execute(text(f"UPDATE loyalty.delivery SET {long_ago}"))
    tell(connection, hook)
    assert (state(connection)["dead"], state(connection)["waiting"]) == (4, CUSTOMERS * 2 - 4)


def test_taken_and_not_written_down_it_comes_again_under_the_same_key(connection: Connection, hook: Hook) -> None:
    class KilledError(Exception):
        pass

    class Client(httpx.Client):
        def send(self, *given: Any, **more: Any) -> Any:
            super().send(*given, **more).close()
            raise KilledError

    (subscriber,) = program(hook).subscribers
    with pytest.raises(KilledError), Client() as client:
        deliver_events(connection, subscriber, secret_of(subscriber, {"SHOP_SECRET": SECRET}), client)
    tell_all(connection, hook)
    keys = [event["key"] for event in hook.events]
    assert len(keys) == CUSTOMERS * 2 + 4
    assert keys[:4] == keys[4:8]
    assert hook.calls[0] == hook.calls[1]


def test_two_senders_at_once_make_one_call(database: Engine, connection: Connection, hook: Hook) -> None:
    def send() -> None:
        with database.connect() as own:
            while tell(own, hook) != Told() or state(own)["waiting"]:
                continue

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    keys = [event["key"] for event in hook.events]
    assert len(keys) == len(set(keys)) == CUSTOMERS * 2


def test_without_subscribers_nothing_is_queued(database: Engine) -> None:
    with database.connect() as connection:
        ours = program_of(validity={"points.loyalty": 10})
        with connection.begin():
            apply_program(connection, ours)
            record(connection, profile(connection, "c0"), "points.loyalty", NOON, 50)
        settle(connection, ours, date(2026, 1, 20))
        assert connection.scalar(text("SELECT count(*) FROM loyalty.delivery")) == 0


def test_a_subscriber_that_the_program_drops_hears_nothing_more(connection: Connection, hook: Hook) -> None:
    without = program_of(validity={"points.loyalty": 10}, cancellation=QUICK)
    with connection.begin():
        apply_program(connection, without)
        record(connection, profile(connection, "c0"), "points.loyalty", NOON, 50)
    before = state(connection)["waiting"]
    cancel(connection, without)
    assert (state(connection)["waiting"], state(connection)["is_active"]) == (before, False)


def test_the_signature_is_the_standards(hook: Hook) -> None:
    secret, body = base64.b64decode(SECRET.removeprefix("whsec_")), b'{"events": []}'
    now = int(time.time())
    signed = signature(secret, "msg_1", now, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signed}
    assert Webhook(SECRET).verify(body, headers) == {"events": []}
    for wrong in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(now + 1)}, {"webhook-signature": "v1,eHh4eA=="}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers | wrong)


@pytest.mark.parametrize("given", ["", "hush-hush", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!", SECRET[6:]])
def test_a_secret_that_is_none_is_said_and_not_shown(hook: Hook, given: str) -> None:
    (subscriber,) = program(hook).subscribers
    with pytest.raises(LoyaltyError, match="SHOP_SECRET must hold the secret") as said:
        secret_of(subscriber, {"SHOP_SECRET": given})
    shown = given.removeprefix("whsec_")
    assert not shown or shown not in str(said.value)
