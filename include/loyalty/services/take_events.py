"""Events that somebody outside tells, by a key: each stored once, or rejected with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from loyalty.errors import LoyaltyError
from loyalty.services.event_columns import CANONICAL
from loyalty.services.event_staging import read_line
from loyalty.services.event_times import read_time
from loyalty.services.refusals import RefusedError, refusals
from loyalty.store.queries import query

# What an event says beside its parameters; the salt tells apart events that agree in everything else.
MEMBERS = (*CANONICAL, "salt")
LONGEST_ITEM = 64 << 10  # bytes
OF_AN_ITEM = ("conflict", "locked")  # refusals that are not about the key


@dataclass(frozen=True)
class Taken:
    """What became of one item: ``stored`` now, ``known`` before, or ``rejected``.

    A rejected one has a code (invalid, forbidden, conflict, locked), the reason in words, and for a conflict both
    bodies, for a lock its end, in ``detail``.
    """

    item: int
    outcome: str
    event_id: str | None
    code: str | None
    reason: str | None
    detail: dict[str, Any] | None


class UnforeseenError(LoyaltyError):
    """The ledger's guards refused several items for something that no check foresaw: each is to be taken alone."""


def take_events(connection: Connection, token: str, items: Sequence[str], first: int = 0) -> list[Taken]:
    """What became of each item, a JSON object, once the caller commits; they are numbered from ``first``.

    A RefusedError is about the key, and with an UnforeseenError nothing was taken: then roll back. An item without
    event_id is named by customer, action, time and salt, and comes back with that name. Lock order: accounts ascending.
    """
    if not items:
        return []
    columns = list(zip(*(_read(item) for item in items), strict=True))
    names = ("faults", "customers", "actions", "times", "ids", "sources", "salts", "bodies")
    told = dict(zip(names, map(list, columns), strict=True))
    binds = {"token": token, "numbers": list(range(first, first + len(items))), "taken": list(MEMBERS), **told}
    try:
        with refusals(), connection.begin_nested():
            return [Taken(*row) for row in connection.execute(query("door/take_events"), binds)]
    except RefusedError as error:
        if error.reason not in OF_AN_ITEM:
            raise
        code, words = error.reason, str(error)
    except DBAPIError as error:
        if not _is_about_an_item(error):
            raise
        code, words = "invalid", str(error.orig.diag.message_primary)  # type: ignore[union-attr]
    if len(items) > 1:
        raise UnforeseenError(words)
    return [Taken(first, "rejected", None, code, words, None)]


def _is_about_an_item(error: DBAPIError) -> bool:
    """Whether it is what was told that the database cannot take (data, a rule, too deep), and not its own state."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in ("22", "23") or state == "54001"


def _read(item: str) -> tuple[Any, ...]:
    """What is wrong with the item, and what it says; the body is the item itself."""
    if len(item) > LONGEST_ITEM or len(item.encode()) > LONGEST_ITEM:
        return f"the item is longer than {LONGEST_ITEM >> 10} KiB", *repeat(None, 7)
    fault, customer, action, occurred_at, event_id, source, salt = read_line(item, MEMBERS, set())
    utc: datetime | None = None
    if fault is None and occurred_at is not None:
        utc, local, fault = read_time(occurred_at)
        if local is not None:
            fault = f"occurred_at {occurred_at!r} has no offset; write it like 2024-05-31T13:45:00+02:00"
    return fault, customer, action, utc, event_id, source, salt, None if fault else item
