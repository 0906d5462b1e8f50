"""What somebody outside may do by a key, beside telling events: ask about a customer, and use promotions."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from loyalty.services.promotions import Activation
from loyalty.services.refusals import refusals
from loyalty.store.queries import query


def admit(connection: Connection, token: str, units: int) -> str:
    """The id of the key, which is good and has not used up its minute; so many events or questions are counted."""
    with refusals():
        return str(connection.scalar(query("door/admit"), {"token": token, "units": units}))


def read_profile(connection: Connection, token: str, customer_id: str) -> dict[str, Any]:
    """The customer's balance, lots, expiries to come, and the end of a live lock."""
    return _ask(connection, "read_profile", token, customer_id)


def read_promotions(connection: Connection, token: str, customer_id: str) -> dict[str, Any]:
    """What the customer can afford now, and the activations that have not ended."""
    return _ask(connection, "read_promotions", token, customer_id)


def activate(connection: Connection, token: str, customer_id: str, promotion: str, key: UUID) -> Activation:
    """The customer has paid for the promotion; called so again, it is the same activation."""
    return _change(connection, token, customer_id, "activate", key, promotion)


def redeem(connection: Connection, token: str, customer_id: str, activation: UUID) -> Activation:
    """The customer has got what was paid for, once; also while the balance is locked."""
    return _change(connection, token, customer_id, "redeem", activation)


def deactivate(connection: Connection, token: str, customer_id: str, activation: UUID) -> Activation:
    """The customer has the promotion's points back, once."""
    return _change(connection, token, customer_id, "deactivate", activation)


def _ask(connection: Connection, name: str, token: str, customer_id: str) -> dict[str, Any]:
    with refusals():
        found: dict[str, Any] = connection.scalar(query(f"door/{name}"), {"token": token, "customer": customer_id})
    return found


def _change(
    connection: Connection, token: str, customer_id: str, verb: str, called: UUID, promotion: str | None = None
) -> Activation:
    binds = {"token": token, "customer": customer_id, "verb": verb, "called": called, "promotion": promotion}
    with refusals():
        row = connection.execute(query("door/change_promotion"), binds).one()
    return Activation(*row)
