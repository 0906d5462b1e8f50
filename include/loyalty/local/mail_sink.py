"""A mail server of this machine's own: it takes every message, and keeps it in a maildir."""

import json
import mailbox
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import time_ns
from typing import Any

from aiosmtpd.controller import Controller

from loyalty.local.kept import free_port


@dataclass(frozen=True)
class MailSink:
    """Where it listens, on 127.0.0.1, and the maildir."""

    port: int
    maildir: Path

    @property
    def airflow_connection(self) -> str:
        """The value of AIRFLOW_CONN_LOYALTY_SMTP."""
        extra = {"disable_ssl": True, "disable_tls": True}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})

    def files(self) -> list[Path]:
        """The file of every message that it has taken, in their order."""
        return sorted((self.maildir / "new").iterdir())


@contextmanager
def mail_sink(maildir: Path) -> Iterator[MailSink]:
    """The server runs while the body does; what the maildir held before stays."""
    maildir.parent.mkdir(parents=True, exist_ok=True)
    mailbox.Maildir(maildir, create=True).close()
    server = Controller(_Keeper(maildir), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield MailSink(server.port, maildir)
    finally:
        server.stop(no_assert=True)


class _Keeper:
    """Nobody needs these messages after a power cut, so that none is waited for until it is on the disk."""

    def __init__(self, maildir: Path) -> None:
        self._maildir = maildir
        self._names = (f"{time_ns()}.{n:09}.loyalty" for n in count())

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        name = next(self._names)
        written = self._maildir / "tmp" / name
        written.write_bytes(envelope.content)
        written.rename(self._maildir / "new" / name)
        return "250 taken"
