"""Have the members' promotions deactivated, so that the points hidden in them come back."""

from sqlalchemy import Connection

from loyalty.services.chunks import Chunk, Range
from loyalty.store.batch import take_batch
from loyalty.store.queries import query


def deactivate_promotions(connection: Connection, part: Range) -> int:
    """This database has deactivated what was asked of it, under live locks; returns how many promotions just now.

    An outside engine (``engine: events``) deactivates by itself: then nothing happens here. Lock order: accounts
    ascending.
    """
    if part.chunk.settings.engine != "database":
        return 0
    if not take_batch(connection, "cancel/lock_deactivating", part.binds):
        return 0
    return connection.execute(query("cancel/deactivate_promotions"), part.binds).rowcount


def start_deactivation_wait(connection: Connection, chunk: Chunk) -> None:
    """The chunk has a deadline for deactivations; the first one stays."""
    minutes = chunk.settings.deactivation_wait_minutes
    connection.execute(query("cancel/start_deactivation_wait"), chunk.all.binds | {"minutes": minutes})


def deactivations_are_answered(connection: Connection, chunk: Chunk) -> bool:
    """Whether every promotion asked for is deactivated, or the deadline has come."""
    return bool(connection.scalar(query("cancel/await_deactivations"), chunk.all.binds))
