"""Processes told apart safely: a pid alone may have been given to another program since."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil


def started_at(pid: int) -> float | None:
    """When the living process ``pid`` began, in seconds since 1970; None for one that is gone or a zombie."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def exists(pid: int) -> bool:
    """Whether the kernel knows ``pid``, be it a zombie or another program's by now."""
    return bool(psutil.pid_exists(pid))


def works_in(pid: int, folder: Path) -> bool:
    """Whether ``pid`` lives and has ``folder`` as its working directory."""
    try:
        return bool(psutil.Process(pid).cwd() == str(folder.resolve()))
    except (psutil.Error, OSError):
        return False


def working_in(folder: Path) -> list[int]:
    """The living processes whose working directory is ``folder``, as far as this user may see."""
    return [pid for pid in psutil.pids() if works_in(pid, folder)]


def send(pids: Iterable[int], signal_number: int) -> None:
    """Each process that still lives has been sent the signal."""
    for pid in pids:
        try:
            psutil.Process(pid).send_signal(signal_number)
        except psutil.NoSuchProcess:
            continue


def wait_until(holds: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Whether ``holds`` came true within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def tail(log: Path, lines: int = 15, offset: int = 0) -> str:
    """The last ``lines`` of ``log`` after ``offset`` bytes; empty for a log that is not there."""
    try:
        written = log.read_bytes()[offset:].decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(written.splitlines()[-lines:])
