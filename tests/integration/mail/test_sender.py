"""Servers that die, hang and refuse; senders that are killed: a message goes once, or is told to be unsettled."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, text

from integration.mail.test_outbox import expire, send
from loyalty.errors import LoyaltyError
from loyalty.local.kept import free_port
from loyalty.mail.handover import MailServer
from mailing import Inbox, Manners, mailing_program, sink, wait_for

ALL_AT_ONCE = {"450": 0.05, "550": 0.03, "421": 0.03, "hangs": 0.01, "dies": 0.03, "takes it and dies": 0.03}


@pytest.fixture
def ledger(module_database: Engine) -> Engine:
    return module_database


def states(engine: Engine) -> dict[str, tuple[str, str | None]]:
    """What the outbox says of each message, by its Message-ID."""
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT key, state, reason FROM loyalty.email")).all()
    return {f"<{row.key}@example.org>": (row.state, row.reason) for row in rows}


def hold_together(engine: Engine, inbox: Inbox) -> None:
    """Nobody got two; sent is what the server took; what it took is sent or unsettled; nothing else is on the way."""
    came, told = inbox.ids(), states(engine)
    assert set(came.values()) <= {1}
    sent = {message for message, (state, _) in told.items() if state == "sent"}
    unsettled = {message for message, state in told.items() if state == ("failed", "unsettled")}
    assert sent <= set(came)
    assert set(came) <= sent | unsettled
    assert {state for state, _ in told.values()} <= {"sent", "failed"}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_a_server_of_bad_manners(ledger: Engine, seed: int, pipelining: bool) -> None:
    program = mailing_program(mail={"claim_size": 7, "attempts": 30})
    expire(ledger, program, 150)
    with sink(Manners(seed, **ALL_AT_ONCE), pipelining=pipelining) as (inbox, server):
        for _ in range(20):
            found = send(ledger, program, server, patience=20.0)
            if not found.count("queued"):
                break
    hold_together(ledger, inbox)
    told = states(ledger)
    assert {reason for state, reason in told.values() if state == "failed"} <= {"refused", "unsettled"}
    assert sum(state == "sent" for state, _ in told.values()) > 100


def test_a_refused_message_is_not_tried_again(ledger: Engine) -> None:
    program = mailing_program()
    expire(ledger, program, 3)
    with sink(Manners(**{"550": 1.0})) as (inbox, server):
        assert send(ledger, program, server).count("failed", "refused") == 3
        assert send(ledger, program, server).count("failed", "refused") == 3
    assert inbox.messages == []


def test_a_server_that_always_says_later_is_given_up(ledger: Engine) -> None:
    program = mailing_program(mail={"attempts": 3})
    expire(ledger, program, 2)
    with sink(Manners(**{"450": 1.0})) as (_, server):
        assert send(ledger, program, server, retry_seconds=0.05).count("failed", "given_up") == 2


def test_a_server_that_is_not_there_is_waited_for_and_then_told(ledger: Engine) -> None:
    program = mailing_program()
    expire(ledger, program, 2)
    nobody = MailServer("127.0.0.1", free_port(), security="none", timeout=1)
    with pytest.raises(LoyaltyError, match="cannot be reached"):
        send(ledger, program, nobody, patience=1.0)
    assert {state for state, _ in states(ledger).values()} == {"queued"}
    with sink() as (inbox, server):
        send(ledger, program, server)
    assert len(inbox.messages) == 2


def test_no_more_than_so_many_a_second(ledger: Engine) -> None:
    program = mailing_program(mail={"per_second": 20})
    expire(ledger, program, 40)
    with sink() as (inbox, server):
        begun = time.monotonic()
        send(ledger, program, server)
    assert len(inbox.messages) == 40
    assert time.monotonic() - begun > 1.8


@pytest.mark.parametrize("moments", [1, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_a_sender_that_is_killed_sends_nothing_twice(ledger: Engine, tmp_path: Path, moments: int) -> None:
    program = mailing_program(mail={"claim_size": 10, "connections": 4})
    expire(ledger, program, 150 * moments)
    file = tmp_path / "program.yaml"
    file.write_text(yaml.safe_dump(program.model_dump(mode="json")), encoding="utf-8")
    chance = random.Random(4)
    with sink() as (inbox, server):
        for _ in range(moments):
            with command(ledger, file, server) as process:
                wait_for_more(inbox, process)
                time.sleep(chance.uniform(0, 0.1))
                os.killpg(process.pid, signal.SIGKILL)
        with command(ledger, file, server) as process:
            assert process.wait(120) == 0
    hold_together(ledger, inbox)
    unsettled = sum(reason == "unsettled" for _, reason in states(ledger).values())
    assert unsettled <= moments * 4 * 10
    assert len(states(ledger)) == 150 * moments


def wait_for_more(inbox: Inbox, process: "subprocess.Popen[bytes]") -> None:
    """The sender has begun to send, or has ended."""
    before = len(inbox.letters)
    assert wait_for(lambda: len(inbox.letters) > before or process.poll() is not None)


def command(engine: Engine, program: Path, server: MailServer) -> "subprocess.Popen[bytes]":
    """`loyalty mail send`, in a group of processes of its own."""
    environment = os.environ | {
        "LOYALTY_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "LOYALTY_PROGRAM": str(program),
        "LOYALTY_SMTP_URL": f"smtp+plain://127.0.0.1:{server.port}",
    }
    words = [str(Path(sys.executable).with_name("loyalty")), "mail", "send", "--patience", "20"]
    return subprocess.Popen(words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
