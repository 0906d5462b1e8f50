"""A server of the benchmark's own, of which nothing is left afterwards: no process, no folder, interrupted or not."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import text
from sqlalchemy.pool import NullPool

from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.postgres_server import Server
from loyalty.local.processes import send
from loyalty.local.server_place import find_place
from loyalty.local.server_user import server_user
from loyalty.store.database import open_engine

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Somebody asked for the end, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def asked_for(error: BaseException | None) -> Interrupted | None:
    """The interruption that an error is, or that it came of: what breaks on the way out is no news."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error


@contextmanager
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that runs in a folder of its own; both are gone at the end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            with interrupted_by_signals(lambda: _hurry(server)):
                server.start()
                yield server
        finally:
            server.remove()


@contextmanager
def interrupted_by_signals(hurry: Callable[[], None]) -> Iterator[None]:
    """The first signal calls ``hurry`` and raises Interrupted in here; the way out is interrupted by no other one."""

    def end(number: int, _frame: FrameType | None) -> None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        hurry()
        raise Interrupted(number)

    for one in SIGNALS:
        signal.signal(one, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        yield
    finally:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)


def _hurry(server: EmbeddedPostgres) -> None:
    """Whatever the sessions of the server are about fails now, so that no thread waits for the end of a statement."""
    pid = postmaster(server)
    if pid is not None:
        send([pid], signal.SIGINT)


def postmaster(server: EmbeddedPostgres) -> int | None:
    """The pid of the server's first process."""
    user = server_user()
    place = find_place(server.keep, user)
    return Server(place, user).postmaster() if place is not None else None


def on_server(server: EmbeddedPostgres, statement: str) -> Any:
    """What the statement returns first, run where no transaction may be."""
    engine = open_engine(server.url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        found = connection.execute(text(statement))
        return found.scalar() if found.returns_rows else None


@contextmanager
def copied(server: EmbeddedPostgres, name: str, made: str) -> Iterator[str]:
    """The URL of a copy of that database, of which the server's memory holds nothing yet; it is dropped at the end."""
    on_server(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    on_server(server, f"CREATE DATABASE {name} TEMPLATE {made} STRATEGY file_copy")
    yield server.url(name)
    on_server(server, f"DROP DATABASE {name} WITH (FORCE)")
