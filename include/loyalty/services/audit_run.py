"""What an auditor wants to see of one run: who decided, what it did, whether it holds, and its fingerprints."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.list_failures import failures_by_reason
from loyalty.services.read_books import closed_days
from loyalty.services.reconcile import reconcile
from loyalty.store.queries import Row, query, row, rows

PAIR = ("", "")


@dataclass(frozen=True)
class Section:
    """A heading and a table of texts below it, ready to be printed."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Audit:
    """The report of a run: its sections, and the definitions that it was computed from, as JSON."""

    title: str
    sections: tuple[Section, ...]
    definitions: str


def audit_run(connection: Connection, run_id: int) -> Audit:
    """The report of a run, read from its record, its members and its events in one moment."""
    with connection.begin():
        connection.execute(query("books/one_moment"))
        run = row(connection, "books/audited_run", run_id=run_id)
        if run is None:
            raise LoyaltyError(f"there is no run {run_id}")
        sections = tuple(_sections(connection, run))
    definitions = json.dumps(run["definitions"], indent=1, sort_keys=True, ensure_ascii=False)
    return Audit(f"Run {run_id}: {run['journey'].replace('_', ' ')}", sections, definitions)


def _sections(connection: Connection, run: Row) -> Iterator[Section]:
    yield _pairs("The run", run, ("journey", "run_key", "state", "as_of", "business_date", "started_at", "finished_at"))
    if run["decision"]:
        yield _pairs("The decision", run, ("decision", "decided_by", "decided_at"))
    yield _pairs("Members", run, ("member_count", "completed_count", "failed_count", "waiting_count"))
    failures = failures_by_reason(connection, run["run_id"])
    if failures:
        yield _table("Failed, by reason", failures, ("reason", "detail", "member_count", "points"))
    if run["journey"] == "batch_cancellation":
        yield _pairs("Points of the completed members", run, ("points_in", "returned", "points", "points_out"))
    else:
        yield _pairs("Points", run, ("points", "shortfall"))
        nights = rows(connection, "points_by_midnight", run_id=run["run_id"])
        yield _table("By midnight", nights, ("midnight", "customers", "expired", "given_back"))
    checked = reconcile(connection, run["run_id"])
    findings = [{"invariant": f.invariant, "holds": "yes" if f.holds else "NO", "rows": f.count} for f in checked]
    yield _table("Reconciliation of the members", findings, ("invariant", "holds", "rows"))
    yield _pairs("Fingerprints", _fingerprints(connection, run))


def _fingerprints(connection: Connection, run: Row) -> Row:
    written = connection.execute(query("books/run_digest"), {"run_id": run["run_id"]}).one()
    closed = closed_days(connection, run["business_date"], run["business_date"])
    return {
        "definitions": run["fingerprint"],
        "events_written": written.event_count,
        "points_written": written.points,
        "ledger": written.digest,
        "books": closed[0]["fingerprint"] if closed else f"{run['business_date']} is not closed yet",
    }


def _pairs(title: str, facts: Row, names: Sequence[str] | None = None) -> Section:
    wanted = [(name, facts[name]) for name in names or facts]
    return Section(title, PAIR, tuple((_words(name), _text(value)) for name, value in wanted if value is not None))


def _table(title: str, facts: Sequence[Row], columns: tuple[str, ...]) -> Section:
    cells = tuple(tuple(_text(one[name]) for name in columns) for one in facts)
    return Section(title, tuple(_words(name) for name in columns), cells)


def _words(name: str) -> str:
    return name.removesuffix("_count").replace("_", " ")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
