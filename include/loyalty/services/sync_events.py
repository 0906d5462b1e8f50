"""Events of a table or a query of another PostgreSQL, each once: streamed from there to here, never held in Python."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from loyalty.model.sources import EventSource
from loyalty.services.source_reading import SourceConnection, SourceReading
from loyalty.store.queries import Row, query, rows


@dataclass(frozen=True)
class Synced:
    """How many rows were ``read``, of which some were ``stored`` just now, some ``known``, some ``rejected``."""

    read: int = 0
    stored: int = 0
    known: int = 0
    rejected: int = 0

    def __add__(self, other: "Synced") -> "Synced":
        return Synced(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def sync_events(
    connection: Connection,
    theirs: SourceConnection,
    source: EventSource,
    *,
    now: datetime,
    on_batch: Callable[[Synced], None] | None = None,
) -> Synced:
    """Every row of the source from its watermark less the overlap is an event, or a rejection that is kept.

    Batches go in the order of the watermark, one commit each, which moves the watermark too: a reading that was killed
    goes on where it stopped. ``theirs`` is only read from.
    """
    reading = SourceReading(theirs, source)
    total, passed = Synced(), None
    with connection.begin():
        connection.execute(query("sync/open"), {"source": source.name})
    while True:
        with theirs.transaction(), connection.begin():
            mark = connection.execute(query("sync/lock"), {"source": source.name}).scalar_one()
            start = reading.back_from(mark) if passed is None else passed
            upto, count = reading.next_batch(start, inclusive=passed is None)
            if count == 0:
                return total
            batch = _take(connection, reading, source, now, (start, upto, passed is None), count)
            mark = reading.later(upto if mark is None else mark, upto)
            connection.execute(
                query("sync/advance"), {"source": source.name, "watermark": mark, "stored": batch.stored}
            )
        total, passed = total + batch, upto
        if on_batch:
            on_batch(total)


def rejections(connection: Connection) -> list[Row]:
    """The rows of all sources that are no events yet, with the reason."""
    return rows(connection, "sync/rejections")


def _take(
    connection: Connection,
    reading: SourceReading,
    source: EventSource,
    now: datetime,
    window: tuple[str | None, str, bool],
    count: int,
) -> Synced:
    connection.execute(query("intake/open"))
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(query("intake/copy_rows").text) as into:
        reading.copy(*window, into)
    connection.execute(query("intake/read_rows"), {"now": now})
    stored, rejected = connection.execute(query("intake/take")).one()
    connection.execute(query("sync/note_rejections"), {"source": source.name})
    return Synced(count, stored, count - stored - rejected, rejected)
