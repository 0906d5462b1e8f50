"""The members of a run that wait for it, a range at a time."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row

from loyalty.store.batch import take_batch
from loyalty.store.queries import query
from loyalty.store.side_by_side import one_at_a_time, work_side_by_side

AT_ONCE = 4  # connections: on two cores, two of them may wait for the disk
FEWEST = 1_000  # fewer are not worth a connection of their own
MOST = 2_500  # what is read of so many is sorted in the processor's cache
Done = TypeVar("Done")


def work_on_waiting(
    connection: Connection,
    run_id: int,
    *,
    size: int,
    work: Callable[[Connection], Done],
    on_batch: Callable[[Done], None],
    alone: bool = False,
) -> None:
    """Nobody waits any more: ``work`` has had each of them in the batch once, at most ``size`` or ``MOST`` at a time.

    Ranges are worked on side by side where there are many members, each on a connection of its own. One commit a
    range, after which ``on_batch`` hears what the work gave, never twice at a time: a restart goes on where this
    stopped. ``alone``: another process that does the same waits for this one. Members whose balance another journey
    has locked have failed.
    """
    tell = one_at_a_time(on_batch)

    def settle(own: Connection, part: Row[Any]) -> None:
        binds = {"run_id": run_id, **part._mapping}
        with own.begin():
            if alone:
                own.execute(query("one_settler"), binds)
            if not take_batch(own, "lock_batch", binds):
                return
            done = work(own)
        tell(done)

    while ranges := _cut(connection, run_id, size):
        if len(ranges) == 1:
            settle(connection, ranges[0])
        else:
            work_side_by_side(connection.engine, settle, ranges, AT_ONCE)
        with connection.begin():
            connection.execute(query("leave_locked"), {"run_id": run_id})


def _cut(connection: Connection, run_id: int, size: int) -> list[Row[Any]]:
    """Those who wait, in ranges of the same number of members: part, first, last."""
    with connection.begin():
        binds = {"run_id": run_id, "size": min(size, MOST), "side_by_side": AT_ONCE, "fewest": FEWEST}
        return list(connection.execute(query("waiting_ranges"), binds))
