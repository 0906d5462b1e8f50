"""What the benchmarks share: a server of their own, a stopwatch, and the record of what was measured."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from loyalty.local.postgres import EmbeddedPostgres

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


@contextmanager
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that runs, and of which nothing is left afterwards, interrupted or not."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.remove()


def seconds(work: Callable[[], Any]) -> float:
    """How long the work takes by the clock on the wall."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def vacuum(connection: Connection) -> None:
    """The planner knows the tables as they are, and nothing is left for autovacuum."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))
    connection.rollback()
    connection.execution_options(isolation_level="READ COMMITTED")


def write_record(name: str, figures: dict[str, Any]) -> None:
    """The figures are in benchmarks/results, with what they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": machine()} | figures
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What was measured on, and which code (``-dirty``: with changes that are no commit)."""
    describe = ["git", "-C", str(FOLDER), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "commit": commit,
    }
