"""A message as it goes over the wire: headers and two parts, text and HTML.

Put together by hand, since the standard library takes thirty times as long for it; its parser reads it in the tests.
"""

import re
from base64 import b64encode
from binascii import b2a_base64
from dataclasses import dataclass
from email.utils import formataddr, parseaddr
from functools import lru_cache
from uuid import UUID

from loyalty.mail.templates import Content, UnsentError

# What every mail server takes; quoted local parts, and letters beyond ASCII, are not among it.
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*").fullmatch
LONGEST_ADDRESS = 254
WORD = 9  # characters of an encoded word: four bytes each at most, and its line no longer than 76
CONTINUES = re.compile(r"[ \t]+\S").match
LINES = re.compile(rb".{1,76}").findall  # of base64, as long as they may be


@dataclass(frozen=True)
class Envelope:
    """From whom, to whom, and what the headers say beside the content."""

    sender: str
    address: str
    key: UUID
    date: str
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    one_click: bool = False

    @property
    def return_path(self) -> str:
        """The bare address of the sender, to which bounces go."""
        return _bare(self.sender)

    @property
    def message_id(self) -> str:
        """Always the same for one message, whoever sends it, and whenever."""
        return f"<{self.key}@{self.return_path.rpartition('@')[2]}>"


def checked_address(address: str) -> str:
    """The address; UnsentError where it is none that mail could be sent to."""
    if ADDRESS(address) and len(address) <= LONGEST_ADDRESS:
        return address
    raise UnsentError("bad_address", address[:200])


def compose(envelope: Envelope, content: Content) -> bytes:
    """The letter, lines ending in CRLF, all of it 7-bit; no value can become a header of its own."""
    boundary = f"=_{envelope.key.hex}"
    headers = [
        ("Message-ID", envelope.message_id),
        ("Date", envelope.date),
        ("From", _mailbox(envelope.sender)),
        ("To", envelope.address),
        ("Reply-To", _mailbox(envelope.reply_to) if envelope.reply_to else None),
        ("Subject", _encoded(content.subject)),
        ("List-Unsubscribe", f"<{envelope.unsubscribe_url}>" if envelope.unsubscribe_url else None),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click" if envelope.one_click else None),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    head = "".join(f"{name}: {_one_line(name, value)}\r\n" for name, value in headers if value is not None)
    parts = ((b"plain", content.text), (b"html", content.html))
    body = b"".join(
        b"--%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%b"
        % (boundary.encode(), kind, _in_base64(text))
        for kind, text in parts
    )
    return b"%b\r\n%b--%b--\r\n" % (head.encode("ascii"), body, boundary.encode())


def _in_base64(text: str) -> bytes:
    """The text as lines of base64, each of which ends."""
    return b"".join([line + b"\r\n" for line in LINES(b2a_base64(text.encode(), newline=False))])


@lru_cache
def _bare(mailbox: str) -> str:
    return parseaddr(mailbox)[1]


@lru_cache
def _mailbox(mailbox: str) -> str:
    return formataddr(parseaddr(mailbox), charset="utf-8")


def _encoded(value: str) -> str:
    """The value as it is, or in encoded words (RFC 2047), one a line."""
    if value.isascii() and value.isprintable() and "=?" not in value and len(value) < 60:
        return value
    words = [value[at : at + WORD] for at in range(0, len(value), WORD)]
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word.encode('utf-8', 'replace')).decode()}?=" for word in words)


def _one_line(name: str, value: str) -> str:
    """The value, of which every further line continues the header."""
    if "\n" not in value and "\r" not in value:
        return value
    _, *more = value.split("\r\n")
    if "\n" in value.replace("\r\n", "") or "\r" in value.replace("\r\n", "") or not all(map(CONTINUES, more)):
        raise UnsentError("bad_header", f"{name}: {value!r}"[:200])
    return value
