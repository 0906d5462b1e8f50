"""The outbox fills with the points taken, and each message leaves it once."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import catalog_of, profile, record, settle, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.mail_order import order_of
from loyalty.services.outbox import Outbox
from loyalty.services.send_mail import send_mail
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
    given = {"patience": 20.0, "retry_seconds": 0.2} | more
    url = engine.url.render_as_string(hide_password=False)
    order = order_of(url, program, catalog_of(program.model_dump_json()), None, server, **given)
    with engine.connect() as connection:
        return send_mail(connection, order)


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
