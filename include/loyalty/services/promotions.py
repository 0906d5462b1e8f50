"""What a shop does with promotions: activate, redeem, deactivate; each once, each refused with its reason."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from loyalty.services.refusals import refusals
from loyalty.store.queries import query


@dataclass(frozen=True)
class Activation:
    """A promotion that a customer paid ``points`` for; its state is active, redeemed, deactivating, … ."""

    activation: UUID
    promotion: str
    points: int
    state: str
    lapses_at: datetime | None


def activate_promotion(connection: Connection, customer_id: str, promotion: str, *, key: UUID) -> Activation:
    """The customer has paid for the promotion; the same ``key`` again is the same activation."""
    return _call(connection, "activate_promotion", customer=customer_id, promotion=promotion, key=key)


def redeem_promotion(connection: Connection, customer_id: str, activation: UUID) -> Activation:
    """The customer has got what was paid for, once; also while the balance is locked."""
    return _call(connection, "redeem_promotion", customer=customer_id, activation=activation)


def deactivate_promotion(connection: Connection, customer_id: str, activation: UUID) -> Activation:
    """The customer has the promotion's points back, once."""
    return _call(connection, "deactivate_promotion", customer=customer_id, activation=activation)


def _call(connection: Connection, name: str, **binds: object) -> Activation:
    with refusals(), connection.begin_nested():
        row = connection.execute(query(f"shop/{name}"), binds).one()
    return Activation(*row)
