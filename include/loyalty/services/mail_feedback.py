"""What comes back for mail that was sent: bounces, complaints and unsubscribes, from a file."""

import csv
from pathlib import Path

from sqlalchemy import Connection

from loyalty.errors import Faults, nearest
from loyalty.store.queries import query

REASONS = ("bounced", "complained", "unsubscribed")
COLUMNS = ("address", "reason", "detail")
FAULTS_SHOWN = 50


def read_feedback(path: Path) -> list[tuple[str, str, str | None]]:
    """The rows of a CSV file with the columns address, reason and, where wanted, detail; Faults lists every bad row.

    A row without a reason is a bounce.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        unknown = [name for name in rows.fieldnames or () if name not in COLUMNS]
        if "address" not in (rows.fieldnames or ()) or unknown:
            raise Faults([f"{path}: line 1: the columns are address, reason, detail; here: {rows.fieldnames}"])
        told, faults = [], []
        for row in rows:
            address, reason = (row.get("address") or "").strip().lower(), (row.get("reason") or "bounced").strip()
            if "@" not in address:
                faults.append(f"{path}: line {rows.line_num}: address {address!r} is no address")
            elif reason not in REASONS:
                faults.append(f"{path}: line {rows.line_num}: reason {reason!r}: {nearest(reason, REASONS)}")
            else:
                told.append((address, reason, row.get("detail") or None))
    if faults:
        more = len(faults) - FAULTS_SHOWN
        raise Faults([*faults[:FAULTS_SHOWN], *([f"{path}: and {more:,} more"] if more > 0 else [])])
    return told


def suppress(connection: Connection, told: list[tuple[str, str, str | None]]) -> int:
    """These addresses get no mail any more; returns how many of them were not known as such."""
    addresses, reasons, details = ([row[at] for row in told] for at in range(3))
    binds = {"addresses": addresses, "reasons": reasons, "details": details}
    return connection.execute(query("mail/suppress"), binds).rowcount
