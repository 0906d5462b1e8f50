"""Tell subscribers what journeys wrote: signed, in order, again until they have it."""

import hmac
import json
import time
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx
from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.deliveries import Subscriber
from loyalty.store.queries import Row, query, row, rows

SHORTEST, LONGEST = 1.0, 300.0  # seconds between tries
PATIENCE = 4  # refusals of one event alone, after which it is a dead letter
PREFIX = "whsec_"
# A 4xx says that it is the request that is wrong, but for these.
NOT_ITS_FAULT = (401, 403, 404, 408, 425, 429)


@dataclass(frozen=True)
class Told:
    """What became of one call: how many events it told, and what was wrong; nothing waited where both are empty."""

    count: int = 0
    fault: str | None = None


def secret_of(subscriber: Subscriber, environment: Mapping[str, str]) -> bytes:
    """The secret that signs; a missing or malformed one is said, and not shown."""
    given = environment.get(subscriber.secret, "")
    try:
        secret = b64decode(given.removeprefix(PREFIX), validate=True) if given.startswith(PREFIX) else b""
    except NoBase64:
        secret = b""
    if len(secret) < 24:
        raise LoyaltyError(
            f"the environment variable {subscriber.secret} must hold the secret of the subscriber {subscriber.name!r}: "
            f"{PREFIX} and at least 24 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
        )
    return secret


def deliver_events(connection: Connection, subscriber: Subscriber, secret: bytes, client: httpx.Client) -> Told:
    """One call was made if something was due, and what came of it is written down; two at once make one call.

    The subscriber's next events go in order, in one batch; where the last batch was refused, the first of them alone,
    so that one that cannot be taken stops no other. Delivered twice, an event is recognised by its key.
    """
    binds = {"subscriber": subscriber.name}
    with connection.begin():
        if not connection.scalar(query("deliveries/lock"), binds):
            return Told()
        head = row(connection, "deliveries/head", **binds)
        if head is None or not head["is_due"]:
            return Told()
        size = 1 if head["was_refused"] else subscriber.batch_size
        found = rows(connection, "deliveries/next", **binds, size=size)
        numbers = {"numbers": [one["n"] for one in found]}
        events = [one for one in found if one["key"] is not None]  # retention may have taken what was given up long ago
        fault, refused = _tell(subscriber, secret, client, events) if events else (None, False)
        if fault is None:
            connection.execute(query("deliveries/taken"), binds | numbers)
            return Told(len(found))
        failure = {
            "fault": fault,
            "refused": refused,
            "alone": len(events) == 1,
            "shortest": SHORTEST,
            "longest": LONGEST,
            "give_up_hours": subscriber.give_up_hours,
            "patience": PATIENCE,
        }
        connection.execute(query("deliveries/failed"), binds | numbers | failure)
        return Told(fault=fault)


def deliveries(connection: Connection) -> list[Row]:
    """Each subscriber, with how many events it took, how many wait, and how many are dead letters."""
    return rows(connection, "deliveries/state")


def dead_letters(connection: Connection, subscriber: str | None = None) -> list[Row]:
    """The events that were given up, with the last fault."""
    return rows(connection, "deliveries/dead", subscriber=subscriber)


def replay(connection: Connection, subscriber: str | None = None) -> int:
    """Dead letters wait again, in their old order, before what came later; returns how many."""
    return connection.execute(query("deliveries/replay"), {"subscriber": subscriber}).rowcount


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """What the header ``webhook-signature`` holds, by the Standard Webhooks specification."""
    signed = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, sha256).digest()
    return f"v1,{b64encode(signed).decode()}"


def _tell(
    subscriber: Subscriber, secret: bytes, client: httpx.Client, events: Sequence[Row]
) -> tuple[str | None, bool]:
    """What was wrong, if anything, and whether it was these events that the subscriber refused."""
    body = json.dumps({"events": [_event(one) for one in events]}, ensure_ascii=False).encode()
    message_id = "msg_" + sha256("".join(str(one["key"]) for one in events).encode()).hexdigest()[:32]
    now = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, message_id, now, body),
    }
    try:
        with client.stream(
            "POST", subscriber.url, content=body, headers=headers, timeout=subscriber.timeout_seconds
        ) as answer:
            said = next(answer.iter_text(400), "")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"[:500], False
    if answer.is_success:
        return None, False
    refused = answer.is_client_error and answer.status_code not in NOT_ITS_FAULT
    return f"{answer.status_code} {said}".replace("\0", ""), refused


def _event(event: Row) -> dict[str, Any]:
    return {
        "key": str(event["key"]),
        "customer_id": event["customer_id"],
        "action": event["action"],
        "occurred_at": _instant(event["occurred_at"]),
        "recorded_at": _instant(event["recorded_at"]),
        "points": event["points"],
        "run": event["run_id"],
        "params": event["params"],
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
