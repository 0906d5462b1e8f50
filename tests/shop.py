"""A shop with one customer: what happens in it, its earning rules and its expiry runs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from ledger import balance, profile, program_of, record, settle, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import Awarded, award_points
from loyalty.services.reconcile import broken, reconcile

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PURCHASE = {"name": "purchase", "action": "transaction.charge", "earns": "points.loyalty", "points_per_unit": "1"}


def with_rules(*rules: dict[str, Any], **others: Any) -> Program:
    return program_of(validity={"points.loyalty": 10, "points.gift": None}, earning_rules=list(rules), **others)


class Shop:
    """One customer of a fresh ledger under a program."""

    def __init__(self, connection: Connection, program: Program) -> None:
        self.connection, self.program = connection, program
        with connection.begin():
            wipe(connection)
            apply_program(connection, program)
            self.customer = profile(connection, "the customer")

    def happens(
        self, action: str, day: float = 0, points: int | None = None, refers_to: UUID | None = None, **params: Any
    ) -> None:
        named = {"$" + name if name in ("totalAmount", "orderID") else name: value for name, value in params.items()}
        with self.connection.begin():
            at = NOON + timedelta(days=day)
            record(self.connection, self.customer, action, at, points, params=named, refers_to=refers_to)

    def award(self) -> Awarded:
        return award_points(self.connection, self.program)

    def settle(self, day: int) -> None:
        settle(self.connection, self.program, NOON.date() + timedelta(days=day))

    @property
    def balance(self) -> int:
        with self.connection.begin():
            assert broken(reconcile(self.connection)) == []
            return balance(self.connection, self.customer)
