"""A letter is read back by the standard library as it was meant, whatever is in it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.mail.letters import Envelope, checked_address, compose
from loyalty.mail.templates import Content, UnsentError
from loyalty.mail.wording import tracked

KEY = UUID("a7d340ac-906d-49af-83a1-fbe4015bc76f")
NASTY = 'Łukasz "Zły" O\'Hara <b>Бор</b> 🎁\r\nBcc: victim@example.org\n\nDear'


def envelope(**more: object) -> Envelope:
    given = {
        "sender": "Prógram <points@example.org>",
        "address": "c@example.org",
        "key": KEY,
        "date": "Sun, 22 Nov 2026 05:00:00 +0000",
    }
    return Envelope(**(given | more))  # type: ignore[arg-type]


def read(wire: bytes) -> EmailMessage:
    message = message_from_bytes(wire, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_headers_and_parts_are_what_they_should_be() -> None:
    link = "https://shop.example.org/u?m=1"
    given = envelope(reply_to="help@example.org", unsubscribe_url=link, one_click=True)
    message = read(compose(given, Content("Zażółć 120 punktów", "tekst\nż", "<p>ż</p>")))
    assert message["From"] == "Prógram <points@example.org>"
    assert message["To"] == "c@example.org"
    assert message["Reply-To"] == "help@example.org"
    assert message["Subject"] == "Zażółć 120 punktów"
    assert message["Message-ID"] == f"<{KEY}@example.org>"
    assert message["List-Unsubscribe"] == f"<{link}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (part(message, "plain"), part(message, "html")) == ("tekst\nż", "<p>ż</p>")


@given(subject=st.text(max_size=200), text=st.text(max_size=2000), html=st.text(max_size=2000))
def test_whatever_is_in_it_no_header_and_no_part_is_added(subject: str, text: str, html: str) -> None:
    subject = " ".join(subject.split())
    wire = compose(
        envelope(), Content(subject, text.encode("utf-8", "ignore").decode(), html.encode("utf-8", "ignore").decode())
    )
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    assert b"\n" not in wire.replace(b"\r\n", b"")
    head = wire.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == [
        b"Message-ID",
        b"Date",
        b"From",
        b"To",
        b"Subject",
        b"Auto-Submitted",
        b"MIME-Version",
        b"Content-Type",
    ]
    assert len(list(read(wire).iter_parts())) == 2


@pytest.mark.parametrize("name", [NASTY, "=?utf-8?q?trick?=", "x" * 500, "\x00\x1b[31m", "a\u2028b\u0085c"])
def test_a_nasty_name_harms_neither_header_nor_body(name: str) -> None:
    content = Content(" ".join(f"{name}, your points".split()), f"Hello {name}", f"<p>{name}</p>")
    message = read(compose(envelope(), content))
    assert message["Bcc"] is None
    assert " ".join(str(message["Subject"]).split()) == content.subject
    assert part(message, "plain").replace("\r\n", "\n") == f"Hello {name}".replace("\r\n", "\n")


@pytest.mark.parametrize(
    "address", ["a@b.org\nBcc: x@y.org", "a b@c.org", "nobody", "", "ż@example.org", "<a@b.org>", "a@b.org, c@d.org"]
)
def test_what_is_no_address_gets_no_mail(address: str) -> None:
    with pytest.raises(UnsentError) as unsent:
        checked_address(address)
    assert unsent.value.reason == "bad_address"


def test_a_link_tells_where_its_visitor_comes_from() -> None:
    utm = (("utm_source", "loyalty"), ("utm_campaign", "x y"))
    assert tracked("https://s.org/a?b=1#c", utm) == "https://s.org/a?b=1&utm_source=loyalty&utm_campaign=x+y#c"
    assert tracked("https://s.org/?utm_source=mine", utm) == "https://s.org/?utm_source=mine&utm_campaign=x+y"
