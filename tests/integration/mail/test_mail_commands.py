"""`loyalty mail …` as a terminal sees it."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from integration.test_command_line import EVENTS, PROGRAM, Terminal
from loyalty.store.database import open_engine, transaction
from mailing import sink

MAIL = """
mail:
  sender: Our program <points@example.org>
  templates: templates
  campaigns:
    - {name: expired, about: points_expired}
    - {name: warned, about: points_to_expire, days_ahead: [7]}
"""


@pytest.fixture
def terminal(tmp_path: Path, database_url: URL) -> Terminal:
    terminal = Terminal(tmp_path, database_url)
    (tmp_path / "templates").mkdir()
    terminal.program.write_text(PROGRAM + MAIL, encoding="utf-8")
    (tmp_path / "events.csv").write_text(EVENTS)
    return terminal


def give_addresses(url: URL) -> None:
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE loyalty.profile SET attributes = jsonb_build_object('email', customer_id || '@example.org')")
        )
    engine.dispose()


def test_from_the_purchase_to_the_message(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.ok("import", "events", str(tmp_path / "events.csv"))
    terminal.ok("award")
    give_addresses(terminal.url)
    assert "1 messages warn of 50 points" in terminal.ok("mail", "remind", "--as-of", "2026-01-05")
    terminal.ok("expire", "--as-of", "2026-01-13")
    assert terminal.rows("mail", "outbox") == [
        {"campaign": "expired", "state": "queued", "reason": "", "messages": "2"},
        {"campaign": "warned", "state": "queued", "reason": "", "messages": "1"},
    ]
    assert "LOYALTY_SMTP_URL says where" in terminal.fails("mail", "send")
    assert terminal.rows("mail", "send", "--dry-run", str(tmp_path / "dry"))[0] == {
        "outcome": "written",
        "messages": "2",
    }
    with sink() as (inbox, server):
        monkeypatch.setenv("LOYALTY_SMTP_URL", f"smtp+plain://127.0.0.1:{server.port}")
        sent = terminal.rows("mail", "send")
    assert [(row["campaign"], row["state"], row["reason"]) for row in sent] == [
        ("expired", "sent", ""),
        ("warned", "skipped", "no_points"),  # they expired before the warning went
    ]
    assert sorted(str(message["Subject"]) for message in inbox.messages) == [
        "20 points have expired",
        "50 points have expired",
    ]
    assert "0 messages wait to be tried again" in terminal.ok("mail", "retry", "unsettled")
    (tmp_path / "bounces.csv").write_text("address\nann@example.org\n")
    assert "1 rows, 1 addresses" in terminal.ok("mail", "bounces", str(tmp_path / "bounces.csv"))


def test_a_preview_shows_one_message_and_sends_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.ok("import", "events", str(tmp_path / "events.csv"))
    terminal.ok("award")
    shown = terminal.ok("mail", "preview", "expired", "--customer", "ann")
    assert "Subject: 50 points have expired" in shown
    terminal.ok("mail", "preview", "expired", "--customer", "ann", "--output", str(tmp_path / "m.html"))
    assert "<!DOCTYPE html>" in (tmp_path / "m.html").read_text(encoding="utf-8")
    assert terminal.rows("mail", "outbox") == []
    assert "no customer 'nobody' is known" in terminal.fails("mail", "preview", "expired", "--customer", "nobody")
    assert "'exprd' is no campaign; known: expired, warned" in terminal.fails(
        "mail", "preview", "exprd", "--customer", "ann"
    )


def test_check_finds_what_is_wrong_with_a_template(terminal: Terminal, tmp_path: Path) -> None:
    broken = tmp_path / "templates" / "points_expired" / "en" / "text.j2"
    broken.parent.mkdir(parents=True)
    broken.write_text("{% expression %}curent_balance{% endexpression %}\n{{ event.point }}", encoding="utf-8")
    said = terminal.fails("check")
    assert f"{broken}:2: {{{{ event.point }}}} is unknown; did you mean 'points'?" in said
    broken.write_text("\n{% expression %}curent_balance{% endexpression %}", encoding="utf-8")
    assert (
        f"{broken}:2: curent_balance is no aggregate or expression; did you mean 'current_balance'?"
        in terminal.fails("check")
    )


def test_a_template_of_ones_own_says_values_of_definitions(terminal: Terminal, tmp_path: Path) -> None:
    own = tmp_path / "templates" / "points_expired" / "en" / "subject.j2"
    own.parent.mkdir(parents=True)
    own.write_text(
        "{% expression %} current_balance {% endexpression %} of "
        "{% aggregate earned_points %}{{ aggregate_result[0] }}{% endaggregate %}",
        encoding="utf-8",
    )
    terminal.ok("import", "events", str(tmp_path / "events.csv"))
    terminal.ok("award")
    assert "Subject: 50 of 50" in terminal.ok("mail", "preview", "expired", "--customer", "ann")
