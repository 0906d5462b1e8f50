"""The commands of the books, as a terminal sees them."""

import json
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from integration.test_command_line import Terminal

EVENTS = """customer_id,action,occurred_at,event_id,$totalAmount
ann,transaction.charge,2026-01-01T10:00Z,1,50.90
bob,transaction.charge,2026-01-02T10:00Z,2,20
"""


@pytest.fixture
def terminal(tmp_path: Path, database_url: URL) -> Terminal:
    """Two customers have bought, and the midnights through the thirteenth are settled."""
    terminal = Terminal(tmp_path, database_url)
    terminal.ok("import", "events", terminal.file("events.csv", EVENTS))
    terminal.ok("award")
    terminal.ok("expire", "--as-of", "2026-01-13")
    return terminal


def test_days_are_closed_and_read_in_every_way(terminal: Terminal, tmp_path: Path) -> None:
    closed = terminal.rows("close", "--through", "2026-01-12")
    assert [row["closing"] for row in closed] == ["50", *["70"] * 10, "20"]
    assert terminal.rows("close", "2026-01-12") == closed[-1:]
    assert terminal.rows("close", "2026-01-13")[0]["expired"] == "20"
    days = json.loads(terminal.ok("books", "--format", "json"))
    [month] = terminal.rows("books", "--by", "month")
    assert (len(days), month["days"], month["opening"], month["closing"]) == (13, "13", "0", "0")
    assert (days[1]["closing"], days[1]["closing_money"]) == (70, "0.70")
    assert terminal.rows("ageing", "--from", "2026-01-05", "--to", "2026-01-05") == [
        {"day": "2026-01-05", "due_month": "2026-01", "points": "70", "money": "0.70", "currency": "EUR"}
    ]
    [cohort] = terminal.rows("cohorts")
    assert (cohort["earned_month"], cohort["earned"], cohort["expired"]) == ("2026-01", "70", "70")
    assert cohort["breakage_rate"] == "1.0000"
    lines = {row["line"]: row["amount"] for row in terminal.rows("provision", "--day", "2026-01-12")}
    assert (lines["outstanding"], lines["cost_provision"]) == ("20", "0.20")
    terminal.ok("books", "--xlsx", str(tmp_path / "books.xlsx"))
    assert (tmp_path / "books.xlsx").stat().st_size > 5000
    assert "9_closed_days_stay" in terminal.ok("reconcile")


def test_another_validity_is_tried_and_a_run_is_audited(terminal: Terminal, tmp_path: Path) -> None:
    before = terminal.ok("rollforward")
    [row] = terminal.rows("what-if", "--validity", "points.loyalty=never")
    assert (row["expired"], row["expired_then"], row["closing_then"]) == ("70", "0", "70")
    assert terminal.ok("rollforward") == before
    page, pdf = tmp_path / "run.html", tmp_path / "run.pdf"
    terminal.ok("audit", "1", "--html", str(page), "--pdf", str(pdf))
    assert "2026-01-13 is not closed yet" in page.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert "Reconciliation of the members" in terminal.ok("audit", "1")


REFUSED = [
    (("close",), "give either a day, or both --from DAY and --to DAY, or --through DAY"),
    (("close", "2026-01-20"), "midnight 2026-01-20 is not settled: `loyalty expire --from 2026-01-20"),
    (("books", "--by", "year"), "is neither day nor month"),
    (("books", "--xlsx", "none.xlsx"), "no day of these is closed"),
    (("provision",), "no day is closed yet"),
    (("what-if", "--validity", "points.loyalty"), "looks like points.loyalty=365"),
    (("what-if", "--validity", "points.loyal=3"), "did you mean 'points.loyalty'"),
    (("audit", "99"), "there is no run 99"),
]


def test_what_cannot_be_done_is_said(terminal: Terminal) -> None:
    for words, said in REFUSED:
        assert said in terminal.fails(*words), words
