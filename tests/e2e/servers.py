"""Ending a PostgreSQL of the tests' own the hard way, and bringing it back."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import wait_until
from loyalty.store.database import transaction


def postmaster(ledger: Engine) -> psutil.Process:
    """The server's main process."""
    with transaction(ledger) as connection:
        data = Path(str(connection.scalar(text("SHOW data_directory"))))
    return psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))


def end_and_restart(
    server: EmbeddedPostgres, ledger: Engine, how: signal.Signals, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """The server has been ended by the signal, and accepts connections again."""
    process = postmaster(ledger)
    process.send_signal(how)
    meanwhile()
    assert wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 30)
    server.start()
