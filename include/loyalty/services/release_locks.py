"""Let go of whatever a chunk still holds."""

from sqlalchemy import Connection

from loyalty.services.chunks import Range
from loyalty.store.queries import query


def release_locks(connection: Connection, part: Range) -> int:
    """Nobody of the range is on the way: who was has failed (engine_error), the lock released; returns how many."""
    return int(connection.execute(query("cancel/release_locks"), part.binds).scalar_one())
