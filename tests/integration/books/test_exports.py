"""What leaves the house: workbook, page and PDF say what the books and the run say; fingerprints can be recomputed."""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from hashlib import sha256
from html import unescape
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest
from sqlalchemy import Connection, Engine, text

from bookkeeping import noon
from cancellation import QUICK, cancel
from ledger import profile, program_of, record, settle
from loyalty.dashboard.print_audit import audit_html, audit_pdf
from loyalty.errors import LoyaltyError
from loyalty.model.frozen import fingerprint_of
from loyalty.services.apply_program import apply_program
from loyalty.services.audit_run import Audit, audit_run
from loyalty.services.close_days import close_days
from loyalty.services.decide_run import decide_run
from loyalty.services.export_books import sheets, write_workbook
from loyalty.services.provision import provision
from loyalty.services.read_books import DAY, ageing, closed_days, cohorts

START, LAST = date(2026, 3, 1), date(2026, 3, 20)
PROGRAM = program_of(validity={"points.loyalty": 10}, cancellation=QUICK, provision={"expected_redemption": "0.9"})


@pytest.fixture(scope="module")
def connection(module_database: Engine) -> Iterator[Connection]:
    """Five customers, whose days are closed; then a cancellation, decided by somebody whose name is not Latin."""
    with module_database.connect() as connection:
        with connection.begin():
            apply_program(connection, PROGRAM)
            for n in range(5):
                who = profile(connection, f"c{n}")
                record(connection, who, "points.loyalty", noon(START + timedelta(days=n)), 1000 + n)
                record(connection, who, "points.loyalty", noon(START + timedelta(days=12)), 500 * n)
                record(connection, who, "client.activatePromotion", noon(START + timedelta(days=6)), 300)
        settle(connection, PROGRAM, LAST)
        close_days(connection, PROGRAM, first=None, last=LAST)
        cancel(connection, PROGRAM)
        yield connection


def runs(connection: Connection) -> list[int]:
    with connection.begin():
        return list(connection.scalars(text("SELECT run_id FROM loyalty.journey_run ORDER BY run_id")))


@pytest.fixture(params=[0, 1], ids=["expiry", "cancellation"])
def audit(request: pytest.FixtureRequest, connection: Connection) -> Audit:
    return audit_run(connection, runs(connection)[request.param])


def test_the_workbook_holds_numbers_and_dates(connection: Connection, tmp_path: Path) -> None:
    with connection.begin():
        days, aged = closed_days(connection), ageing(connection, START, LAST)
        found = cohorts(connection)
        provided = provision(connection, PROGRAM)
    write_workbook(tmp_path / "books.xlsx", sheets(days, aged, found, provided))
    book = openpyxl.load_workbook(tmp_path / "books.xlsx")
    assert book.sheetnames == ["days", "ageing", "cohorts", "provision"]
    head, *rows = book["days"].iter_rows(values_only=True)
    assert head == DAY
    for row, expected in zip(rows, days, strict=True):
        cells: dict[str, Any] = dict(zip(head, row, strict=True))
        assert cells["day"] == datetime.combine(expected["day"], datetime.min.time())
        assert isinstance(cells["closing"], int)
        assert {
            name: cells[name] for name in ("opening", "earned", "redeemed", "expired", "closing", "fingerprint")
        } == {name: expected[name] for name in ("opening", "earned", "redeemed", "expired", "closing", "fingerprint")}
        assert cells["closing_money"] == float(expected["closing_money"])
    assert sum(row[1] for row in book["cohorts"].iter_rows(min_row=2, values_only=True)) == sum(
        r["earned"] for r in found
    )
    lines = {row[0]: row[1] for row in book["provision"].iter_rows(min_row=2, values_only=True)}
    assert lines["outstanding"] == days[-1]["closing"]


def test_page_and_pdf_say_the_same(audit: Audit) -> None:
    cells = [cell for section in audit.sections for row in (section.columns, *section.rows) for cell in row if cell]
    page = bare(unescape(re.sub(r"<[^>]+>", "", audit_html(audit))))
    pages = pypdf.PdfReader(BytesIO(audit_pdf(audit))).pages
    printed = bare(re.sub(r"page \d+\s*$", "", "".join(one.extract_text() for one in pages), flags=re.MULTILINE))
    assert len(cells) > 20
    assert [cell for cell in cells if bare(cell) not in page] == []
    assert [cell for cell in cells if bare(cell) not in printed] == []
    assert bare(audit.definitions)[:500] in page


def bare(words: str) -> str:
    return re.sub(r"\s", "", words)


def test_a_name_in_other_letters_is_transcribed_in_the_pdf(connection: Connection) -> None:
    run_id = runs(connection)[1]
    with connection.begin():
        connection.execute(
            text("UPDATE loyalty.journey_run SET decision = NULL, state = 'running' WHERE run_id = :r"), {"r": run_id}
        )
        decide_run(connection, run_id, "approved", decided_by="Łucja Żak")
        connection.execute(text("UPDATE loyalty.journey_run SET state = 'completed' WHERE run_id = :r"), {"r": run_id})
    audit = audit_run(connection, run_id)
    assert "Łucja Żak" in audit_html(audit)
    assert "Lucja Zak" in pypdf.PdfReader(BytesIO(audit_pdf(audit))).pages[0].extract_text()


def test_everything_of_a_report_can_be_recomputed(connection: Connection, audit: Audit) -> None:
    said = {name: value for section in audit.sections if not any(section.columns) for name, value in section.rows}
    holds = next(one for one in audit.sections if one.title.startswith("Reconciliation"))
    assert {row[1] for row in holds.rows} == {"yes"}
    assert int(said["completed"]) >= 4
    run_id = int(re.findall(r"\d+", audit.title)[0])
    assert said["definitions"] == fingerprint_of(json.loads(audit.definitions))
    assert said["ledger"] == ledger_of(connection, run_id)


def ledger_of(connection: Connection, run_id: int) -> str:
    """The fingerprint of the events of a run, in Python."""
    with connection.begin():
        events = connection.execute(
            text("SELECT * FROM loyalty.event WHERE run_id = :r ORDER BY profile_id, key"), {"r": run_id}
        ).all()
    parts = []
    for _, rows in groupby(events, key=lambda e: e.profile_id // 1000):
        lines = [
            "|".join(
                str(part)
                for part in (
                    e.profile_id,
                    e.key,
                    e.action,
                    f"{e.occurred_at:%Y-%m-%dT%H:%M:%S.%fZ}",
                    e.points,
                    e.refers_to,
                )
                if part is not None
            )
            for e in rows
        ]
        parts.append(sha256("\n".join(lines).encode()).hexdigest())
    return sha256("\n".join(parts).encode()).hexdigest()


def test_the_chain_of_the_books_can_be_recomputed(connection: Connection) -> None:
    with connection.begin():
        days = connection.execute(text("SELECT * FROM loyalty.daily_close ORDER BY day")).all()
        aged = connection.execute(text("SELECT * FROM loyalty.daily_close_ageing ORDER BY day, due_month")).all()
        fates = connection.execute(text("SELECT * FROM loyalty.daily_close_cohort ORDER BY day, earned_month")).all()
    previous = ""
    for row in days:
        *values, closed_at, fingerprint = row
        parts = [previous, *values, f"{closed_at:%Y-%m-%dT%H:%M:%S.%fZ}"]
        for table in (aged, fates):
            parts.append(",".join(":".join(map(str, one[1:])) for one in table if one.day == row.day))
        assert sha256("|".join(map(str, parts)).encode()).hexdigest() == fingerprint
        previous = fingerprint


def test_an_unknown_run_is_said(connection: Connection) -> None:
    with pytest.raises(LoyaltyError, match="there is no run 4711"):
        audit_run(connection, 4711)
