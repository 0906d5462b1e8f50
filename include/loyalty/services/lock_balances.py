"""Lock the balances of a chunk's members, or have them locked by an outside points engine."""

from sqlalchemy import Connection

from loyalty.services.chunks import Chunk, Range
from loyalty.store.batch import take_batch
from loyalty.store.queries import query


def request_locks(connection: Connection, part: Range) -> int:
    """Every selected member of the range has asked for a lock; returns how many did just now."""
    settings = part.chunk.settings
    asked = connection.execute(query("cancel/request_locks"), part.binds | {"lock_minutes": settings.lock_minutes})
    if settings.engine == "events":
        connection.execute(query("cancel/tell_lock_requests"), part.binds)
    return asked.rowcount


def grant_locks(connection: Connection, part: Range) -> int:
    """This database has locked the balances of those whose accounts nobody works on; returns how many just now.

    An outside engine (``engine: events``) answers by itself: then nothing happens here. Lock order: accounts ascending.
    """
    if part.chunk.settings.engine != "database":
        return 0
    if not take_batch(connection, "cancel/lock_answerable", part.binds):
        return 0
    minutes = part.chunk.settings.lock_minutes
    return connection.execute(query("cancel/grant_locks"), part.binds | {"lock_minutes": minutes}).rowcount


def start_lock_wait(connection: Connection, chunk: Chunk) -> None:
    """The chunk has a deadline for confirmations; the first one stays."""
    minutes = chunk.settings.lock_wait_minutes
    connection.execute(query("cancel/start_lock_wait"), chunk.all.binds | {"minutes": minutes})


def locks_are_answered(connection: Connection, chunk: Chunk) -> bool:
    """Whether every request of the chunk is answered, or the deadline has come; this database tries again to answer."""
    grant_locks(connection, chunk.all)
    return bool(connection.scalar(query("cancel/await_locks"), chunk.all.binds))
