"""The same work on several connections at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from loyalty.store.database import connect

SIDE_BY_SIDE = 2  # connections that work at a time, where nobody asks for another number
PAUSE_SECONDS = 0.2
Item = TypeVar("Item")


def work_side_by_side(
    engine: Engine, work: Callable[[Connection, Item], None], items: Iterable[Item], side_by_side: int
) -> None:
    """Each item is worked on, in their order, by one of so many connections.

    Where one fails, or this is interrupted, nothing more is begun, statements under way are cancelled (their
    transactions undone), and the first error is raised.
    """
    left: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        left.put(item)

    def walk(connection: Connection) -> None:
        while True:
            try:
                item = left.get_nowait()
            except Empty:
                return
            work(connection, item)

    with ExitStack() as stack:
        connections = [stack.enter_context(connect(engine)) for _ in range(min(side_by_side, max(1, left.qsize())))]
        pool = stack.enter_context(ThreadPoolExecutor(len(connections)))
        walks = [pool.submit(walk, one) for one in connections]
        try:
            wait(walks, return_when=FIRST_EXCEPTION)
        finally:
            _stop(left, walks, connections)
        for walked in walks:
            walked.result()


def one_at_a_time(hear: Callable[[Item], object]) -> Callable[[Item], None]:
    """The same, for work that goes on side by side: it is never called twice at once."""
    free = Lock()

    def heard(item: Item) -> None:
        with free:
            hear(item)

    return heard


def _stop(left: SimpleQueue[Item], walks: list[Future[None]], connections: list[Connection]) -> None:
    """Nobody works any more; where all is done, nobody did."""
    with suppress(Empty):
        while True:
            left.get_nowait()
    while wait(walks, PAUSE_SECONDS).not_done:
        for connection in connections:
            with suppress(psycopg.Error, DBAPIError):  # a server that is gone has nothing under way
                driver_connection: Any = connection.connection.driver_connection
                driver_connection.cancel_safe()
