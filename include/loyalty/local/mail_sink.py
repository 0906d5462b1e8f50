"""A mail server of this machine's own: it takes every message, and keeps it in a maildir."""

import json
import mailbox
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
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

    def messages(self) -> list[EmailMessage]:
        """Every message that it has taken."""
        files = sorted((self.maildir / "new").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        found = (message_from_bytes(file.read_bytes(), policy=policy.default) for file in files)
        return [one for one in found if isinstance(one, EmailMessage)]


@contextmanager
def mail_sink(maildir: Path) -> Iterator[MailSink]:
    """The server runs while the body does; what the maildir held before stays."""
    maildir.parent.mkdir(parents=True, exist_ok=True)
    box = mailbox.Maildir(maildir, create=True)
    server = Controller(_Keeper(box), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield MailSink(server.port, maildir)
    finally:
        server.stop(no_assert=True)
        box.close()


class _Keeper:
    def __init__(self, box: mailbox.Maildir) -> None:
        self._box = box

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self._box.add(envelope.content)
        return "250 taken"
