"""A real purchase log for the demo: CDNOW's 69,659 purchases of 23,570 customers, 1997-01-01 to 1998-06-30.

It lies inside the PyPI wheel ``lifetimes`` 0.11.3, which is fetched by name and never installed.
"""

import csv
import io
import subprocess
import sys
import zipfile
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from loyalty.errors import LoyaltyError
from loyalty.local.kept import locked

PACKAGE = "lifetimes==0.11.3"
MEMBER = "lifetimes/datasets/CDNOW_master.txt"
SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"
COLUMNS = ("customer_id", "action", "occurred_at", "$totalAmount")


def fetch_purchases(home: Path) -> Path:
    """The CSV of purchases, ready for ``loyalty import events``; downloaded and written only where it is missing."""
    downloads = home / "downloads"
    target = downloads / "cdnow.csv"
    with locked(downloads / "lock"):
        if not target.exists():
            wheel = _find(downloads) or _download(downloads)
            write_purchases(read_log(wheel, SHA256), target)
    return target


def read_log(wheel: Path, expected_sha256: str) -> bytes:
    """The purchase log inside ``wheel``, byte for byte the expected one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            log = archive.read(MEMBER)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise LoyaltyError(f"{wheel} holds no {MEMBER} ({error}); delete it and try again") from error
    found = sha256(log).hexdigest()
    if found != expected_sha256:
        raise LoyaltyError(f"{wheel}: {MEMBER} has sha256 {found}, expected {expected_sha256}; delete it and try again")
    return log


def write_purchases(log: bytes, target: Path) -> int:
    """``target`` has one event for each purchase, in the log's order, identical ones included; returns their number."""
    header, *lines = log.decode("ascii").splitlines()
    if header.split() != ["customer_id", "date", "number_of_cds", "dollar_value"]:
        raise LoyaltyError(f"the purchase log begins with {header!r}, not with its column names")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_event(line) for line in lines)
    unfinished = target.with_suffix(".new")
    unfinished.write_text(text.getvalue(), encoding="utf-8")
    unfinished.replace(target)
    return len(lines)


def _event(line: str) -> tuple[str, str, str, str]:
    customer_id, date, _, dollars = line.split()
    midnight = datetime.strptime(date + "+0000", "%Y%m%d%z")
    return customer_id, "transaction.charge", midnight.isoformat(), dollars


def _find(downloads: Path) -> Path | None:
    return next((path for path in downloads.glob("*.whl") if path.name.lower().startswith("lifetimes-0.11.3")), None)


def _download(downloads: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(downloads)]
    done = subprocess.run([*command, PACKAGE], capture_output=True, text=True, check=False)
    wheel = _find(downloads)
    if done.returncode != 0 or wheel is None:
        raise LoyaltyError(
            f"the purchase log could not be fetched from PyPI: {(done.stderr or done.stdout).strip()}\n"
            f"Check the network and pip's settings, or put the wheel of {PACKAGE} into {downloads}; then try again."
        )
    return wheel
