"""What a piece of work costs beside time: WAL, room on disk, temporary files, memory."""

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread
from typing import Any

import psutil
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from loyalty.local.processes import wait_until
from loyalty.store.database import open_engine, transaction

MIB = 2**20
TICK, LOOKS = 0.5, 200  # seconds, and of a longer work about so many looks: each takes 20 ms of a processor and more
LONG_LOOK = 4  # one look of so many asks who holds shared pages, which takes the kernel 6 ms a process
COUNTERS = text("""
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes,
           pg_database_size(datname) AS disk_bytes, temp_bytes
    FROM pg_stat_database WHERE datname = current_database()
""")
OTHERS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
""")
SHARED = text("SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'")


@dataclass
class Usage:
    """Seconds by the clock on the wall, and what the work took of the database and of memory; no figure before its end.

    The WAL is that of the whole server, on which nothing else goes on but, where it is used, Airflow's own metadata.
    """

    seconds: float = 0.0
    figures: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"seconds": round(self.seconds, 4), **self.figures}


@contextmanager
def metered(
    url: str, postmaster: int, pythons: Collection[int] = (), leave_out: Collection[int] = ()
) -> Iterator[Usage]:
    """What happens meanwhile to the database of this URL, by this process or by those ``pythons``, is measured."""
    usage, before, memory = Usage(), _counters(url), Memory(pythons or [os.getpid()], postmaster, leave_out)
    memory.start()
    started = time.perf_counter()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - started
        memory.stop()
    after = _counters(url)
    usage.figures = {name: after[name] - before[name] for name in before} | memory.figures(_shared_buffers(url))


def _counters(url: str) -> dict[str, int]:
    """What the server has counted; sessions count what they have done when they end, so they have ended."""
    engine = open_engine(url, poolclass=NullPool)
    wait_until(lambda: _nobody_else(engine), 10)
    with transaction(engine) as connection:
        return dict(connection.execute(COUNTERS).mappings().one())


def _nobody_else(engine: Any) -> bool:
    with transaction(engine) as connection:
        return not connection.scalar(OTHERS)


def _shared_buffers(url: str) -> int:
    with transaction(open_engine(url, poolclass=NullPool)) as connection:
        return int(connection.execute(SHARED).scalar_one())


class Memory(Thread):
    """The most memory that was held at once, looked at again and again.

    Python: the resident memory of the largest process, and that of all together, shared pages counted once. Database:
    what its processes hold each for itself; what they share is the size of the shared buffers, reserved once.
    """

    def __init__(self, pythons: Iterable[int], postmaster: int, leave_out: Collection[int]) -> None:
        super().__init__(daemon=True)
        self._pythons, self._postmaster, self._leave_out = list(pythons), postmaster, leave_out
        self._ended = Event()
        self._largest = self._together = self._private = 0

    def run(self) -> None:
        started = time.perf_counter()
        for look in count():
            self._look(long=look % LONG_LOOK == 0)
            if self._ended.wait(max(TICK, (time.perf_counter() - started) / LOOKS)):
                return

    def stop(self) -> None:
        self._look(long=True)
        self._ended.set()
        self.join()

    def figures(self, shared_buffers: int) -> dict[str, int]:
        """In MiB."""
        figures = {
            "python_largest_mib": self._largest,
            "python_together_mib": self._together,
            "database_private_mib": self._private,
            "database_mib": self._private + shared_buffers,
        }
        return {name: round(size / MIB) for name, size in figures.items()}

    def _look(self, *, long: bool) -> None:
        pythons = [one for one in _families(self._pythons) if one.pid not in self._leave_out]
        resident = [found.rss for one in pythons if (found := _asked(one.memory_info))]
        self._largest = max([self._largest, *resident])
        if len(pythons) == 1:
            self._together = self._largest
        elif long:
            shares = [found.pss for one in pythons if (found := _asked(one.memory_full_info))]
            self._together = max(self._together, sum(shares))
        servers = [found for one in _families([self._postmaster]) if (found := _asked(one.memory_info))]
        # What is resident and neither a shared buffer nor a page of the program's own file.
        self._private = max(self._private, sum(found.rss - getattr(found, "shared", 0) for found in servers))


def _families(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all below them, as far as they live."""
    found = []
    for pid in pids:
        try:
            first = psutil.Process(pid)
            found += [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def _asked(ask: Any) -> Any:
    """The answer of a process; None where it has ended."""
    try:
        return ask()
    except psutil.Error:
        return None
