"""A mail server for tests that really talks SMTP, and a program that sends mail."""

import asyncio
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Lock
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from ledger import program_of
from loyalty.local.kept import free_port
from loyalty.mail.handover import MailServer
from loyalty.model.program import Program

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd tells every command
MESSAGE_ID = re.compile(rb"Message-ID: (\S+)\r\n").match  # it is the first header
SENDER = "Our program <points@example.org>"
CAMPAIGNS = (
    {"name": "cancelled", "about": "points_cancelled"},
    {"name": "expired", "about": "points_expired"},
    {"name": "warned", "about": "points_to_expire", "days_ahead": [30, 7, 1]},
)


def mail_of(**more: object) -> dict[str, Any]:
    """The mail of a program with all three campaigns."""
    given = {
        "sender": SENDER,
        "consent": "mail_consent",
        "unsubscribe_url": "https://shop.example.org/unsubscribe?c={customer_id}&m={key}",
        "utm": {},
        "campaigns": CAMPAIGNS,
        "connections": 2,
    }
    return given | more


def mailing_program(**more: object) -> Program:
    """A program in UTC with these campaigns."""
    mail = mail_of(**{name: more.pop(name) for name in list(more) if name in mail_of()})
    return program_of(mail=mail | dict(more.pop("mail", {})), **more)  # type: ignore[arg-type, call-overload]


def read(letter: bytes) -> EmailMessage:
    message = message_from_bytes(letter, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@dataclass
class Inbox:
    """What a sink has taken: each message that it has said 250 to, in the order in which it came."""

    letters: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def take(self, address: str, letter: bytes) -> None:
        with self.lock:
            self.letters.append(letter)
            self.recipients.append(address)

    @property
    def messages(self) -> list[EmailMessage]:
        """Each letter as the standard library reads it."""
        return [read(letter) for letter in self.letters]

    def ids(self) -> Counter[str]:
        """How often each Message-ID came."""
        return Counter(MESSAGE_ID(letter)[1].decode() for letter in self.letters)  # type: ignore[index]

    def by_address(self) -> dict[str, EmailMessage]:
        """The one message of each address."""
        assert len(set(self.recipients)) == len(self.recipients), "somebody got two"
        return dict(zip(self.recipients, self.messages, strict=True))


class Manners:
    """How the sink behaves: what it answers to RCPT and to DATA, and when it hangs or dies."""

    def __init__(self, seed: int = 0, **chances: float) -> None:
        self.chance, self.chances = random.Random(seed), chances
        self.lock = Lock()

    def says(self) -> str | None:
        """The name of a misbehaviour, drawn at random; None: it behaves."""
        with self.lock:
            drawn = self.chance.random()
        for name, chance in self.chances.items():
            if drawn < chance:
                return name
            drawn -= chance
        return None


class Handler:
    """What aiosmtpd asks at each step."""

    def __init__(self, inbox: Inbox, manners: Manners, *, pipelining: bool) -> None:
        self.inbox, self.manners, self.pipelining = inbox, manners, pipelining

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd reads commands one after the other, however they come: it may as well say so.
        return [responses[0], "250-PIPELINING", *responses[1:]] if self.pipelining else responses

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        match self.manners.says():
            case "450":
                return "450 4.2.1 mailbox busy"
            case "550":
                return "550 5.1.1 no such mailbox"
            case "421":
                asyncio.get_running_loop().call_soon(server.transport.close)
                return "421 4.3.2 closing"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        match self.manners.says():
            case "hangs":
                await asyncio.sleep(2.5)
                server.transport.abort()
                return "451 too late"
            case "dies":
                server.transport.abort()
                return "451 gone"
            case "takes it and dies":
                self.inbox.take(envelope.rcpt_tos[0], envelope.content)
                server.transport.abort()
                return "250 nobody hears this"
        self.inbox.take(envelope.rcpt_tos[0], envelope.content)
        return "250 2.0.0 taken"


class Sink(Controller):
    """The server."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=True, hostname="sink.example.org")


@contextmanager
def sink(
    manners: Manners | None = None, *, pipelining: bool = True, port: int | None = None
) -> Iterator[tuple[Inbox, MailServer]]:
    """A server on 127.0.0.1 while the body runs, and what it took."""
    inbox = Inbox()
    handler = Handler(inbox, manners or Manners(), pipelining=pipelining)
    controller = Sink(handler, hostname="127.0.0.1", port=port or free_port())
    controller.start()
    try:
        yield inbox, MailServer("127.0.0.1", controller.port, security="none", timeout=1)
    finally:
        controller.stop(no_assert=True)


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
