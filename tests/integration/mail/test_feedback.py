"""Whose mail bounced, who unsubscribed, who withdrew consent, and when nothing is sent at all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from integration.mail.test_outbox import expire, send
from ledger import catalog_of, profile, record
from loyalty.errors import Faults
from loyalty.services.campaigns import Campaigns
from loyalty.services.mail_feedback import read_feedback, suppress
from loyalty.services.rehearse_mail import rehearse_mail
from mailing import mailing_program, sink

PROGRAM = mailing_program()


@pytest.fixture
def ledger(module_database: Engine) -> Engine:
    return module_database


def test_a_bounced_address_gets_no_more(ledger: Engine, tmp_path: Path) -> None:
    expire(ledger, PROGRAM, 3)
    file = tmp_path / "bounces.csv"
    file.write_text("address,reason,detail\n C0@Example.org,bounced,550 gone\nc1@example.org,unsubscribed,\n")
    with ledger.begin() as connection:
        assert suppress(connection, read_feedback(file)) == 2
        assert suppress(connection, read_feedback(file)) == 0
    with sink() as (inbox, server):
        found = send(ledger, PROGRAM, server)
    assert inbox.recipients == ["c2@example.org"]
    assert (found.count("skipped", "bounced"), found.count("skipped", "unsubscribed")) == (1, 1)


@pytest.mark.parametrize("action", ["email.bounced", "email.unsubscribed", "email.complained"])
def test_an_event_says_so_too(ledger: Engine, action: str) -> None:
    expire(ledger, PROGRAM, 2)
    with ledger.begin() as connection:
        record(connection, profile(connection, "c0"), action, datetime.now(UTC), params={"address": "C0@example.org"})
    with sink() as (inbox, server):
        send(ledger, PROGRAM, server)
        assert inbox.recipients == ["c1@example.org"]
        with ledger.begin() as connection:  # without an address: the one that was written to last
            record(connection, profile(connection, "c1"), action, datetime.now(UTC))
            assert connection.scalar(text("SELECT count(*) FROM loyalty.email_suppression")) == 2


def test_consent_withdrawn_meanwhile_counts(ledger: Engine) -> None:
    expire(ledger, PROGRAM, 2)
    with ledger.begin() as connection:
        connection.execute(
            text(
                "UPDATE loyalty.profile SET attributes = attributes || jsonb_build_object('mail_consent', false) "
                "WHERE customer_id = 'c1'"
            )
        )
    with sink() as (inbox, server):
        assert send(ledger, PROGRAM, server).count("skipped", "no_consent") == 1
    assert inbox.recipients == ["c0@example.org"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mail,reason\na@b.org,bounced\n", "line 1: the columns are address, reason, detail"),
        ("address,reason\na@b.org,bounced\nnobody,bounced\n", "line 3: address 'nobody' is no address"),
        ("address,reason\na@b.org,bouncd\n", "line 2: reason 'bouncd': did you mean 'bounced'?"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "bounces.csv"
    file.write_text(text)
    with pytest.raises(Faults, match=fault.replace("?", r"\?")):
        read_feedback(file)


def test_quiet_hours_hold_the_mail_back(ledger: Engine) -> None:
    now = datetime.now(UTC)
    hours = {"start": str((now - timedelta(hours=1)).time())[:8], "end": str((now + timedelta(hours=1)).time())[:8]}
    quiet = mailing_program(mail={"quiet_hours": hours})
    expire(ledger, quiet, 2)
    with sink() as (inbox, server):
        assert send(ledger, quiet, server).count("queued") == 2
        assert inbox.messages == []
        assert send(ledger, PROGRAM, server).count("sent") == 2


def test_a_dry_run_writes_letters_and_sends_nothing(ledger: Engine, tmp_path: Path) -> None:
    expire(ledger, PROGRAM, 60)
    campaigns = Campaigns(PROGRAM, catalog_of(PROGRAM.model_dump_json()), None)
    with ledger.begin() as connection:
        assert rehearse_mail(connection, campaigns, tmp_path / "out", datetime.now(UTC)) == {"written": 60}
        assert connection.scalar(text("SELECT count(*) FROM loyalty.email WHERE state = 'queued'")) == 60
    assert len(list((tmp_path / "out" / "new").iterdir())) == 60
