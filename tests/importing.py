"""Importing files of events, and looking at what became of them."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from loyalty.services.import_events import ImportOutcome, import_events

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "event_id,customer_id,action,occurred_at,points"
LOSSES = "event_id,customer_id,action,occurred_at,points,promotionRequireRedeemedPoints,corrects"
ACTIONS = """
    INSERT INTO loyalty.action (action, effect, parameter, validity_days, feeds_rules) VALUES
        ('points.loyalty', 'earn', 'points', 182, false), ('transaction.charge', 'none', NULL, NULL, true)
    ON CONFLICT DO NOTHING"""


def lines(tmp_path: Path, *rows: str, header: str = HEADER, name: str = "events.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def objects(tmp_path: Path, *rows: Mapping[str, Any] | str) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def load(ledger: Engine, path: Path, mapping: Mapping[str, str] | None = None, **options: Any) -> ImportOutcome:
    with ledger.begin() as connection:
        return import_within(connection, path, mapping, **options)


def import_within(
    connection: Connection, path: Path, mapping: Mapping[str, str] | None = None, **options: Any
) -> ImportOutcome:
    settings: dict[str, Any] = {"file_format": None, "rejects": None, "now": NOW, "on_progress": None, **options}
    return import_events(connection, path, mapping=mapping or {}, **settings)


def counts(outcome: ImportOutcome) -> tuple[int, int, int, int]:
    return outcome.read, outcome.stored, outcome.already_there, outcome.rejected


def rejected(outcome: ImportOutcome) -> dict[int, str]:
    assert outcome.rejects_path
    with outcome.rejects_path.open(encoding="utf-8", newline="") as source:
        return {int(row["row"]): row["reason"] for row in csv.DictReader(source)}


def ask(ledger: Engine, sql: str) -> list[Any]:
    with ledger.connect() as connection:
        return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(sql))]


def params(ledger: Engine) -> list[Any]:
    return ask(ledger, "SELECT params FROM loyalty.event ORDER BY occurred_at, key")


def balances(ledger: Engine) -> dict[str, int]:
    rows = ask(ledger, "SELECT customer_id, balance FROM loyalty.profile JOIN loyalty.account USING (profile_id)")
    return dict(rows)


def reason_of(ledger: Engine, path: Path, row: int = 2, **options: Any) -> str:
    """Why the one bad row of the file is rejected."""
    outcome = load(ledger, path, **options)
    assert outcome.rejected == 1
    return rejected(outcome)[row]
