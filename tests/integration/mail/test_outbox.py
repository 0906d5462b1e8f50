"""The outbox fills with the points taken, and each message leaves it once."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

import loyalty.services.mail_sender
import loyalty.services.send_mail
from ledger import catalog_of, profile, record, settle, wipe
from loyalty.mail.handover import SmtpHandover
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.mail_order import order_of
from loyalty.services.outbox import Outbox
from loyalty.services.send_mail import send_mail
from loyalty.store.queries import query
from mailing import mailing_program, sink

DAY = date(2026, 7, 3)
EARNED = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(module_database: Engine) -> Engine:
    return module_database


def people(connection: Connection, program: Program, count: int, **attributes: object) -> None:
    """Customers with points that expire on the day, and an address."""
    wipe(connection)
    apply_program(connection, program)
    for number in range(count):
        given = {"email": f"c{number}@example.org", "mail_consent": True, "first_name": f"Name {number}"}
        who = profile(connection, f"c{number}", attributes=given | attributes)
        record(connection, who, "points.loyalty", EARNED, 10 + number)


def send(engine: Engine, program: Program, server: Any, **more: Any) -> Outbox:
    tell = more.pop("tell", None)
    given = {"patience": 20.0, "retry_seconds": 0.2} | more
    url = engine.url.render_as_string(hide_password=False)
    order = order_of(url, program, catalog_of(program.model_dump_json()), None, server, **given)
    with engine.connect() as connection:
        return send_mail(connection, order, tell)


def expire(engine: Engine, program: Program, count: int, **attributes: object) -> None:
    with engine.connect() as connection:
        with connection.begin():
            people(connection, program, count, **attributes)
        settle(connection, program, DAY)


def test_everybody_who_lost_points_hears_how_many(ledger: Engine) -> None:
    program = mailing_program()
    expire(ledger, program, 30)
    with sink() as (inbox, server):
        found = send(ledger, program, server)
    assert [(row["state"], row["messages"]) for row in found.rows] == [("sent", 30)]
    for address, message in inbox.by_address().items():
        number = int(address.removeprefix("c").partition("@")[0])
        assert f"{10 + number} points have expired" == message["Subject"]
        assert f"{10 + number} points" in message.get_body(("plain",)).get_content()
        assert f"Name {number}" in message.get_body(("html",)).get_content()
    with ledger.begin() as connection:
        told = connection.execute(text("SELECT count(*) FROM loyalty.event WHERE action = 'email.sent'")).scalar_one()
    assert told == 30


def test_sending_again_sends_nothing(ledger: Engine) -> None:
    program = mailing_program()
    expire(ledger, program, 3)
    with sink() as (inbox, server):
        send(ledger, program, server)
        send(ledger, program, server)
    assert sorted(inbox.ids().values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [({"mail_consent": False}, "no_consent"), ({"mail_consent": None}, "no_consent"), ({"email": " "}, "no_address")],
)
def test_whoever_wants_none_or_has_no_address_gets_none(ledger: Engine, attributes: Any, reason: str) -> None:
    program = mailing_program()
    expire(ledger, program, 2, **attributes)
    with sink() as (inbox, server):
        found = send(ledger, program, server)
    assert inbox.messages == []
    assert found.count("skipped", reason) == 2


def test_several_processes_send_each_message_once(ledger: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loyalty.services.send_mail, "FEW", 10)
    monkeypatch.setattr(loyalty.services.send_mail.os, "cpu_count", lambda: 3)
    program = mailing_program(mail={"connections": 4, "claim_size": 2, "per_second": 20})
    expire(ledger, program, 200)
    with sink() as (inbox, server):
        assert send(ledger, program, server).count("sent") == 200
    assert len(inbox.ids()) == len(inbox.letters) == 200
    with ledger.begin() as connection:
        senders = connection.scalar(text("SELECT count(DISTINCT sender_id) FROM loyalty.email"))
    assert senders > 2, "two are in the process that asks for mail, which begins before the others are there"


@pytest.mark.parametrize("processors", [1, 2])
def test_whoever_is_interrupted_stops_in_every_process(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr(loyalty.services.send_mail, "FEW", 10)
    monkeypatch.setattr(loyalty.services.send_mail, "A_WHILE", 0.5)
    monkeypatch.setattr(loyalty.services.send_mail.os, "cpu_count", lambda: processors)
    program = mailing_program(mail={"connections": 2, "per_second": 5})
    expire(ledger, program, 200)

    def interrupt(found: Outbox) -> None:
        if found.count("sending"):
            raise KeyboardInterrupt

    with sink() as (inbox, server):
        with pytest.raises(KeyboardInterrupt):
            send(ledger, program, replace(server, timeout=30), tell=interrupt)
        came = len(inbox.letters)
        assert came < 50
    with ledger.begin() as connection:
        told = connection.execute(text("SELECT coalesce(reason, state), count(*) FROM loyalty.email GROUP BY 1"))
        assert dict(told.all()) == {"sent": came, "queued": 200 - came}


@pytest.mark.parametrize(("at_most", "ahead"), [(1_000_000, 10), (1, 1)])
def test_few_letters_are_written_before_the_first_of_them_goes(
    ledger: Engine, monkeypatch: pytest.MonkeyPatch, at_most: int, ahead: int
) -> None:
    kept: list[str] = []
    write, hand_over = loyalty.services.mail_sender.write_letter, SmtpHandover.send
    monkeypatch.setattr(
        loyalty.services.mail_sender, "write_letter", lambda *given: (kept.append("written"), write(*given))[1]
    )
    monkeypatch.setattr(SmtpHandover, "send", lambda *given: (kept.append("sent"), hand_over(*given))[1])
    monkeypatch.setattr(loyalty.services.mail_sender, "AHEAD_BYTES", at_most)
    program = mailing_program(mail={"connections": 1})
    expire(ledger, program, 25)
    with sink() as (_, server):
        send(ledger, program, server)
    assert max(kept[:at].count("written") - kept[:at].count("sent") for at in range(len(kept))) == ahead
    assert kept.count("sent") == 25


MORE_MESSAGES = text(
    "INSERT INTO loyalty.email (profile_id, key, campaign, run_id, points, address) "
    "SELECT 1000 + n, gen_random_uuid(), campaign, run_id, 1, 'c@example.org' "
    "FROM (SELECT campaign, run_id FROM loyalty.email LIMIT 1) AS one CROSS JOIN generate_series(1, 4000) AS n"
)


def test_the_next_messages_are_looked_up_not_searched_for(ledger: Engine) -> None:
    expire(ledger, mailing_program(), 1)
    with ledger.connect() as connection:  # never committed
        connection.execute(MORE_MESSAGES)
        connection.execute(text("ANALYZE loyalty.email"))
        asked = {"campaign": "expired", "sender": 1, "run_id": None, "size": 50, "after": 0}
        plan = "\n".join(connection.scalars(text(f"EXPLAIN {query('mail/claim')}"), asked))
    assert "Seq Scan on email" not in plan
    assert "Sort" not in plan
