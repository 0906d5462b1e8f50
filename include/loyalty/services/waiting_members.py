"""The members of a run that wait for it, batch by batch."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy import Connection

from loyalty.store.batch import take_batch
from loyalty.store.queries import query

Done = TypeVar("Done")


def measure_members(connection: Connection, run_id: int) -> None:
    """The planner knows how many members the run has; nobody else can measure them until this has ended."""
    with connection.begin():
        connection.execute(query("measure_members"), {"run_id": run_id})


def each_batch(
    connection: Connection, run_id: int, *, size: int, work: Callable[[Connection], Done], alone: bool = False
) -> Iterator[Done]:
    """What the work gave for each batch of waiting members, after its commit; at the end nobody waits.

    A restart goes on where this stopped. ``alone``: only one process at a time does this. Members whose balance another
    journey has locked have failed; they keep their mark, and the next run finds them.
    """
    after = 0
    while True:
        with connection.begin():
            if alone:
                connection.execute(query("one_settler"))
            bound = _lock_next(connection, run_id, after, size)
            if bound is None:
                connection.execute(query("leave_locked"), {"run_id": run_id})
            else:
                done = work(connection)
        if bound is not None:
            after = bound
            yield done
        elif _someone_waits(connection, run_id):
            after = 0
        else:
            return


def _lock_next(connection: Connection, run_id: int, after: int, size: int) -> int | None:
    """The next waiting members after that profile are the batch; returns the last of them, None without any."""
    if not take_batch(connection, "lock_batch", {"run_id": run_id, "after": after, "size": size}):
        return None
    return int(connection.execute(query("batch_bound")).scalar_one())


def _someone_waits(connection: Connection, run_id: int) -> bool:
    """Whether a lock ended just after its account was passed over."""
    with connection.begin():
        return bool(connection.scalar(query("members_wait"), {"run_id": run_id}))
