"""Who failed in a run, and why."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.freeze_audience import MAY_COME_AGAIN
from loyalty.store.queries import query

Row = dict[str, Any]
# What is told of a failed member.
MEMBER = (
    "customer_id",
    "reason",
    "detail",
    "points",
    "lock_requested_at",
    "locked_at",
    "lock_expires_at",
    "released_at",
)


def failures_by_reason(connection: Connection, run_id: int) -> Sequence[Row]:
    """Each reason with its count, the points that were approved, and whether a second round takes it up."""
    rows = _rows(connection, run_id, "cancel/failures", {})
    return [row | {"second_round": row["reason"] in MAY_COME_AGAIN} for row in rows]


def failed_members(connection: Connection, run_id: int, reason: str | None = None) -> Sequence[Row]:
    """Each failed member with its reason and the times of its lock; those of one reason, where one is given."""
    return _rows(connection, run_id, "cancel/failed_members", {"reason": reason})


def _rows(connection: Connection, run_id: int, name: str, binds: dict[str, object]) -> Sequence[Row]:
    if connection.execute(query("cancel/first_round"), {"run_id": run_id}).one_or_none() is None:
        raise LoyaltyError(f"there is no run {run_id}")
    return [dict(row) for row in connection.execute(query(name), {"run_id": run_id} | binds).mappings()]
