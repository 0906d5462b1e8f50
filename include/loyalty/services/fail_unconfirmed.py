"""Members whose confirmation did not come by the deadline."""

from sqlalchemy import Connection

from loyalty.services.chunks import Range
from loyalty.store.queries import query


def fail_unlocked(connection: Connection, part: Range) -> int:
    """Whose lock was not confirmed by the chunk's deadline has failed (lock_timeout); returns how many just now."""
    return int(connection.execute(query("cancel/fail_unlocked"), part.binds).scalar_one())


def fail_undeactivated(connection: Connection, part: Range) -> int:
    """Whose promotions were not all deactivated by the chunk's deadline has failed (deactivation_timeout)."""
    return int(connection.execute(query("cancel/fail_undeactivated"), part.binds).scalar_one())
