"""A real SMTP conversation, encrypted and with a login."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loyalty.errors import LoyaltyError
from loyalty.local.kept import free_port
from loyalty.mail.handover import Fate, MailServer, UnreachableError
from mailing import Handler, Inbox, Manners, Sink

LETTER = b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


class StrictSink(Sink):
    """Takes nothing without TLS and a login."""

    def __init__(self, handler: Handler, port: int, certificate: Path) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=port)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate)

    def factory(self) -> SMTP:
        return SMTP(
            self.handler, tls_context=self._tls, require_starttls=True, auth_required=True, authenticator=self._knows
        )

    def _knows(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.login == b"points" and data.password == b"s3cret&:", handled=False)


@pytest.fixture
def strict(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    server = StrictSink(Handler(inbox, Manners(), pipelining=True), free_port(), certificate)
    server.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield inbox, server.port
    server.stop(no_assert=True)


def test_letters_go_encrypted_after_a_login_and_arrive_as_they_are(strict: tuple[Inbox, int]) -> None:
    inbox, port = strict
    server = MailServer.from_url(f"smtp://points:s3cret%26%3A@127.0.0.1:{port}")
    with server.connect() as handover:
        for number in range(3):
            assert handover.send("points@example.org", f"c{number}@example.org", LETTER).fate is Fate.SENT
    assert inbox.recipients == ["c0@example.org", "c1@example.org", "c2@example.org"]
    assert {message.get_content().replace("\r\n", "\n") for message in inbox.messages} == {".one\n..two\n.\nend\n"}


def test_a_wrong_password_is_told_without_the_password(strict: tuple[Inbox, int]) -> None:
    server = MailServer("127.0.0.1", strict[1], user="points", password="guess", timeout=5)
    with pytest.raises(LoyaltyError, match="the login of 'points' is refused") as refused:
        server.connect()
    assert "guess" not in str(refused.value)


def test_a_certificate_that_nobody_trusts_is_refused(
    strict: tuple[Inbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(UnreachableError, match="certificate"):
        MailServer("127.0.0.1", strict[1], timeout=5).connect()


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://mail.example.org", "mail.example.org", 587, "starttls"),
        ("smtps://mail.example.org", "mail.example.org", 465, "tls"),
        ("smtp+plain://127.0.0.1:2525", "127.0.0.1", 2525, "none"),
    ],
)
def test_a_url_says_how_the_server_is_talked_to(url: str, host: str, port: int, security: str) -> None:
    server = MailServer.from_url(url)
    assert (server.host, server.port, server.security) == (host, port, security)


def test_what_is_no_url_of_a_server_is_refused_without_its_secrets() -> None:
    with pytest.raises(LoyaltyError, match="it looks like smtp://") as refused:
        MailServer.from_url("http://user:hidden@mail.example.org")
    assert "hidden" not in str(refused.value)
