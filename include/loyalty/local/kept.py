"""What is made once and then kept: secrets, ports, and the lock that keeps two makers apart."""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loyalty.errors import LoyaltyError

# Below the kernel's ephemeral range, so that no outgoing connection takes a kept port while its server is down.
PORTS = range(20_000, 32_000)


def write_private(path: Path, text: str) -> None:
    """``path`` holds ``text``, whole, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def kept(path: Path, make: Callable[[], str]) -> str:
    """The text of ``path``; where it is missing, ``make`` has been asked for it once."""
    if not path.exists():
        write_private(path, make())
    return path.read_text(encoding="utf-8")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(wanted: int | None = None) -> int:
    """``wanted`` where it is free, else another free port."""
    if wanted is not None and port_is_free(wanted):
        return wanted
    for _ in range(200):
        port = secrets.choice(PORTS)
        if port_is_free(port):
            return port
    raise LoyaltyError(f"no free port found on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


@contextmanager
def locked(path: Path, patience: float = 300.0) -> Iterator[None]:
    """While the body runs, no other process or thread is inside ``locked`` of the same ``path``."""
    descriptor = _acquire(path, time.monotonic() + patience)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, deadline: float) -> int:
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(descriptor, path):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise LoyaltyError(f"another loyalty command holds {path}; wait for it to end, then try again")
        time.sleep(0.05)


def _lock(descriptor: int, path: Path) -> bool:
    """Whether the lock was taken, on the file that ``path`` names still (remove() deletes it while holding it)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False
