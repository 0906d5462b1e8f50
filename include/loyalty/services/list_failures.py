"""Who failed in a run, and why."""

from collections.abc import Sequence

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.freeze_audience import MAY_COME_AGAIN
from loyalty.store.queries import Row, row, rows

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
    _check(connection, run_id)
    found = rows(connection, "cancel/failures", run_id=run_id)
    return [one | {"second_round": one["reason"] in MAY_COME_AGAIN} for one in found]


def failed_members(connection: Connection, run_id: int, reason: str | None = None) -> Sequence[Row]:
    """Each failed member with its reason and the times of its lock; those of one reason, where one is given."""
    _check(connection, run_id)
    return rows(connection, "cancel/failed_members", run_id=run_id, reason=reason)


def _check(connection: Connection, run_id: int) -> None:
    if row(connection, "cancel/first_round", run_id=run_id) is None:
        raise LoyaltyError(f"there is no run {run_id}")
