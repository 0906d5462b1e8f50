"""Handing a letter over to a mail server, and what can become of it."""

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from loyalty.errors import LoyaltyError

REPLY_LENGTH = 300
SECURITY = {"smtp": (587, "starttls"), "smtps": (465, "tls"), "smtp+plain": (25, "none")}
WAITS_FOR_A_LETTER, GOODBYE, NO_REPLY = 354, 421, -1


class Fate(StrEnum):
    """What became of a letter that was handed over."""

    SENT = "sent"
    LATER = "later"  # the server says: not now
    REFUSED = "refused"  # the server says: never
    NOT_BEGUN = "not begun"  # the connection ended before the letter was whole: nobody has it
    UNKNOWN = "unknown"  # the letter was whole, and no answer came


@dataclass(frozen=True)
class Answer:
    """The fate of a letter, and what the server said."""

    fate: Fate
    said: str = ""


class UnreachableError(LoyaltyError):
    """No connection to the mail server could be made."""


class SenderRefusedError(LoyaltyError):
    """The server takes nothing from this sender: no message of it is to blame."""


@dataclass(frozen=True)
class MailServer:
    """Where a mail server is, and how it is talked to; ``security`` is tls, starttls or none."""

    host: str
    port: int = 587
    security: str = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 60

    def connect(self) -> "SmtpHandover":
        """A connection, logged in; UnreachableError, or LoyaltyError where the login is refused."""
        try:
            return SmtpHandover(self._logged_in())
        except smtplib.SMTPAuthenticationError as error:
            raise LoyaltyError(f"{self}: the login of {self.user!r} is refused: {_said(error.smtp_error)}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise UnreachableError(f"{self} cannot be reached: {error}") from None

    def _logged_in(self) -> smtplib.SMTP:
        context = ssl.create_default_context() if self.security != "none" else None
        client: smtplib.SMTP
        if self.security == "tls":
            client = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        else:
            client = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        try:
            client.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                client.starttls(context=context)
                client.ehlo()
            if self.user:
                client.login(self.user, self.password or "")
        except BaseException:
            client.close()
            raise
        return client

    @classmethod
    def from_url(cls, url: str) -> "MailServer":
        """smtp:// asks for STARTTLS, smtps:// speaks TLS from the start, smtp+plain:// does neither."""
        try:
            parts, given = urlsplit(url), urlsplit(url).port
        except ValueError:
            parts, given = urlsplit(""), None
        if parts.scheme not in SECURITY or not parts.hostname:
            raise LoyaltyError(
                "LOYALTY_SMTP_URL is no mail server; it looks like smtp://user:password@mail.example.org:587"
            )
        port, security = SECURITY[parts.scheme]
        user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
        return cls(parts.hostname, given or port, security, user, password)

    def __str__(self) -> str:
        return f"the mail server {self.host}:{self.port}"


class SmtpHandover:
    """A connection to a mail server; where the server offers it, commands go out together (RFC 2920)."""

    def __init__(self, client: smtplib.SMTP) -> None:
        self._client = client
        self._pipelining = client.has_extn("pipelining")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with suppress(OSError, smtplib.SMTPException):
            self._client.quit()
        self._client.close()

    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return self._client.sock is not None

    def send(self, sender: str, address: str, letter: bytes) -> Answer:
        """What became of the letter. It is whole, and may be delivered, only with the dot that ends it."""
        try:
            refusal = self._announce(sender, address)
            if refusal is None:
                self._client.send(_stuffed(letter))
        except (OSError, smtplib.SMTPException) as error:
            self._client.close()
            return Answer(Fate.NOT_BEGUN, _said(str(error)))
        return refusal or self._final_answer()

    def _announce(self, sender: str, address: str) -> Answer | None:
        """None where the server waits for the letter; else what it says instead."""
        replies = self._replies(f"MAIL FROM:<{sender}>", f"RCPT TO:<{address}>", "DATA")
        refused = next((reply for reply in replies if not 200 <= reply[0] < 400), None)
        if refused is None:
            return None
        if refused is replies[0] and refused[0] >= 500:
            raise SenderRefusedError(f"the mail server takes nothing from {sender}: {refused[0]} {_said(refused[1])}")
        answer = self._refused(*refused)
        with suppress(OSError, smtplib.SMTPException):
            if self.is_open() and replies[-1][0] == WAITS_FOR_A_LETTER:  # for nobody: an empty one ends the matter
                self._client.send(b".\r\n")
                self._client.getreply()
            if self.is_open():
                self._client.rset()
        return answer

    def _replies(self, *commands: str) -> list[tuple[int, bytes]]:
        """What the server says to the commands: to all that it heard, or up to the first that it refuses."""
        if self._pipelining:
            self._client.send("".join(f"{one}\r\n" for one in commands).encode("ascii"))
        replies: list[tuple[int, bytes]] = []
        for command in commands:
            try:
                replies.append(self._client.getreply() if self._pipelining else self._client.docmd(command))
            except (OSError, smtplib.SMTPException):
                if not any(code >= 400 for code, _ in replies):
                    raise
                self._client.close()  # it has refused, and hung up
                break
            if replies[-1][0] in (GOODBYE, NO_REPLY) or (replies[-1][0] >= 400 and not self._pipelining):
                break
        return replies

    def _final_answer(self) -> Answer:
        try:
            code, said = self._client.getreply()
            return Answer(Fate.SENT, _said(said)) if 200 <= code < 300 else self._refused(code, said)
        except (OSError, smtplib.SMTPException) as error:
            self._client.close()
            return Answer(Fate.UNKNOWN, _said(str(error)))

    def _refused(self, code: int, said: bytes) -> Answer:
        if code in (GOODBYE, NO_REPLY):
            self._client.close()
        if code == NO_REPLY:
            raise smtplib.SMTPServerDisconnected(_said(said))
        return Answer(Fate.LATER if code < 500 else Fate.REFUSED, f"{code} {_said(said)}")


def _stuffed(letter: bytes) -> bytes:
    """The letter as DATA takes it: lines that begin with a dot get another, and one dot ends it."""
    return (b"\r\n" + letter).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def _said(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.replace("\0", "\ufffd").split())[:REPLY_LENGTH]
