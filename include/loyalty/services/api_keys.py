"""Keys to the events API: made, listed, taken back. A key itself is shown once, and kept nowhere."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.actions import ACTION_PATTERN
from loyalty.store.queries import Row, query, rows

# What a customer's own key may not tell, unless its maker says otherwise: what moves points but for paying with them,
# what rules turn into points, and confirmations.
PROFILE_DENIES = ("points.*", "transaction.*", "client.deactivatePromotion", "email.*")


@dataclass(frozen=True)
class KeyRights:
    """Whom a key speaks for (None: everybody), which actions it may tell, how much a minute, and until when.

    ``allows`` None is every action; a ``*`` at an action's end stands for any rest.
    """

    customer_id: str | None = None
    allows: tuple[str, ...] | None = None
    denies: tuple[str, ...] | None = None
    per_minute: int | None = None
    expires_at: datetime | None = None


def create_key(connection: Connection, title: str, rights: KeyRights) -> str:
    """The new key, which nobody can be shown again: only its digest is kept."""
    _check(rights)
    key_id = secrets.token_hex(6)
    token = f"lk_{key_id}_{secrets.token_urlsafe(32)}"
    usual = PROFILE_DENIES if rights.customer_id is not None else ()
    binds = {
        "key_id": key_id,
        "digest": sha256(token.encode()).digest(),
        "title": title,
        "customer_id": rights.customer_id,
        "allows": None if rights.allows is None else list(rights.allows),
        "denies": list(usual if rights.denies is None else rights.denies),
        "per_minute": rights.per_minute,
        "expires_at": rights.expires_at,
    }
    connection.execute(query("keys/create"), binds)
    return token


def list_keys(connection: Connection) -> list[Row]:
    """Every key that was made, newest first, with what it may and whether it is good."""
    return rows(connection, "keys/list")


def revoke_key(connection: Connection, key_id: str) -> None:
    """The key is good no more; one revoked before stays so."""
    if connection.execute(query("keys/revoke"), {"key_id": key_id}).rowcount == 0:
        raise LoyaltyError(f"there is no key {key_id!r}; `loyalty keys list` shows those that are there")


def _check(rights: KeyRights) -> None:
    for pattern in (*(rights.allows or ()), *(rights.denies or ())):
        if not ACTION_PATTERN.fullmatch(pattern):
            raise LoyaltyError(f"{pattern!r} names no actions; it looks like transaction.charge, or transaction.*")
    if rights.per_minute is not None and rights.per_minute < 1:
        raise LoyaltyError(f"{rights.per_minute} a minute: at least 1 is needed, or no limit")
    if rights.customer_id == "":
        raise LoyaltyError("a customer has an id that is not empty")
