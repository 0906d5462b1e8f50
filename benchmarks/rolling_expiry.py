"""One night of rolling expiry: in a program of one size, in a hundred times that size, and against its floor.

Both programs have the same customers whose points fall due in the nights measured; the larger one has them beside 99
times as many others, whose points live on. The floor is the bare SQL that writes the same rows, with no guard, no lock
and nothing to compute, measured in the same session. Interrupting leaves nothing behind.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_program import load_program
from loyalty.local.cdnow import fetch_purchases
from loyalty.local.demo import PROGRAM
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import award_points
from loyalty.services.import_events import import_events
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.rolling_expiry import run_rolling_expiry
from loyalty.settings import load_settings
from loyalty.store.database import open_engine, server_version, transaction
from loyalty.store.schema import upgrade

SETTLED, NIGHTS = date(1997, 9, 1), 9
RESULTS = Path(__file__).parent / "results"
# The copies go in without the guards, which would take most of the time; what they would have written is written here.
COPIES = (
    "SET LOCAL session_replication_role = replica",
    "CREATE TEMPORARY TABLE original AS SELECT profile_id, customer_id FROM loyalty.profile",
    "INSERT INTO loyalty.profile (customer_id) SELECT customer_id || '/' || copy FROM original, "
    "generate_series(1, CAST(:copies AS integer) - 1) AS copy",
    "CREATE TEMPORARY TABLE copied AS SELECT copy.profile_id, original.profile_id AS of FROM loyalty.profile AS copy "
    "JOIN original ON original.customer_id = split_part(copy.customer_id, '/', 1) WHERE copy.customer_id LIKE '%/%'",
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT copied.profile_id, e.key, e.action, e.occurred_at + interval '728 days', e.points, e.params, 'copy' "
    "FROM loyalty.event AS e JOIN copied ON copied.of = e.profile_id WHERE e.action = 'points.loyalty'",
    "INSERT INTO loyalty.account (profile_id, balance, latest_at, settle_on) "
    "SELECT copied.profile_id, a.balance, a.latest_at + interval '728 days', a.settle_on + 728 "
    "FROM copied JOIN loyalty.account AS a ON a.profile_id = copied.of",
)
FLOOR_TABLES = (
    "CREATE TEMPORARY TABLE floor_event (LIKE loyalty.event INCLUDING DEFAULTS INCLUDING INDEXES)",
    "CREATE TEMPORARY TABLE floor_account (LIKE loyalty.account INCLUDING INDEXES)",
    "CREATE TEMPORARY TABLE floor_member (LIKE loyalty.journey_member INCLUDING DEFAULTS INCLUDING INDEXES)",
    "INSERT INTO floor_account SELECT * FROM loyalty.account WHERE profile_id IN (SELECT profile_id FROM floor_ids)",
    "ANALYZE floor_account",
)
FLOOR = (
    "INSERT INTO floor_member (run_id, profile_id) SELECT :run_id, profile_id FROM floor_ids",
    "INSERT INTO floor_event SELECT * FROM floor_written",
    "UPDATE floor_account a SET balance = a.balance + w.points, settle_on = NULL FROM floor_written w "
    "WHERE w.profile_id = a.profile_id",
    "UPDATE floor_member SET state = 'completed', finished_at = clock_timestamp(), points = -w.points "
    "FROM floor_written w WHERE w.profile_id = floor_member.profile_id",
)


def main() -> None:
    """The table is printed, and the figures are in benchmarks/results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--copies", type=int, default=100, help="how many times larger the large program is")
    copies = arguments.parse_args().copies
    with tempfile.TemporaryDirectory(prefix="loyalty-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            server.start()
            figures = [measure(server, size) for size in (1, copies)]
        finally:
            server.remove()
    report(figures)


def measure(server: EmbeddedPostgres, copies: int) -> dict[str, Any]:
    """The nights in a program of that many copies of the purchase log."""
    name = f"bench_{copies}"
    server.ensure_database(name)
    engine = open_engine(server.url(name))
    program = load_program(PROGRAM)
    catalog = balance_catalog(program)
    with transaction(engine) as connection:
        upgrade(connection)
        apply_program(connection, program)
    with engine.connect() as connection:
        prepared_in = seconds(lambda: prepare(connection, copies))
        run_rolling_expiry(connection, program, catalog, run_key="before", business_date=SETTLED)
        nights = []
        for n in range(1, NIGHTS + 1):
            day = SETTLED + timedelta(days=n)
            took = seconds(
                lambda day=day: run_rolling_expiry(connection, program, catalog, run_key=str(day), business_date=day)
            )
            nights.append(describe(connection, day, took))
        with connection.begin():
            assert broken(reconcile(connection, nights[-1]["run_id"])) == []
            customers = connection.scalar(text("SELECT count(*) FROM loyalty.account"))
            events = connection.scalar(text("SELECT count(*) FROM loyalty.event"))
            version = server_version(connection)
    engine.dispose()
    return {
        "customers": customers,
        "events": events,
        "prepared_in": round(prepared_in, 1),
        "postgresql": version,
        "nights": nights,
    }


def prepare(connection: Connection, copies: int) -> None:
    """The purchase log is imported and awarded, and stands there ``copies`` times, the copies two years younger."""
    with connection.begin():
        import_events(
            connection,
            fetch_purchases(load_settings().home),
            file_format=None,
            mapping={},
            rejects=None,
            now=time_now(connection),
            on_progress=None,
        )
    award_points(connection, load_program(PROGRAM))
    with connection.begin():
        for statement in COPIES if copies > 1 else ():
            connection.execute(text(statement), {"copies": copies})
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))
    connection.rollback()
    connection.execution_options(isolation_level="READ COMMITTED")


def time_now(connection: Connection) -> Any:
    return connection.scalar(text("SELECT clock_timestamp()"))


def describe(connection: Connection, day: date, took: float) -> dict[str, Any]:
    """The night's size, its time, and its floor's."""
    with connection.begin():
        run_id, members, points = connection.execute(
            text("SELECT run_id, member_count, points FROM loyalty.journey_run WHERE run_key = :key"), {"key": str(day)}
        ).one()
    with connection.begin() as undone:
        connection.execute(
            text(
                "CREATE TEMPORARY TABLE floor_ids AS SELECT profile_id FROM loyalty.journey_member WHERE run_id = :id"
            ),
            {"id": run_id},
        )
        connection.execute(
            text(
                "CREATE TEMPORARY TABLE floor_written AS SELECT e.* FROM floor_ids "
                "JOIN loyalty.event AS e USING (profile_id) WHERE e.run_id = :id"
            ),
            {"id": run_id},
        )
        for statement in FLOOR_TABLES:
            connection.execute(text(statement))
        floor = seconds(lambda: [connection.execute(text(one), {"run_id": run_id}) for one in FLOOR])
        undone.rollback()
    return {
        "run_id": run_id,
        "day": str(day),
        "members": members,
        "points": points,
        "seconds": round(took, 4),
        "floor_seconds": round(floor, 4),
    }


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(figures: list[dict[str, Any]]) -> None:
    """A table for people, a JSON for the record."""
    for one in figures:
        one["median_seconds"] = median(night["seconds"] for night in one["nights"])
        one["median_floor_seconds"] = median(night["floor_seconds"] for night in one["nights"])
        one["ratio_to_floor"] = round(one["median_seconds"] / one["median_floor_seconds"], 1)
    growth = round(figures[-1]["median_seconds"] / figures[0]["median_seconds"], 2)
    table = Table(title=f"one night of rolling expiry, median of {NIGHTS} nights")
    for name in ("customers", "events", "members a night", "seconds", "floor", "ratio"):
        table.add_column(name, justify="right")
    for one in figures:
        members = median(night["members"] for night in one["nights"])
        cells = (one["customers"], one["events"], members)
        table.add_row(
            *(f"{cell:,}" for cell in cells),
            f"{one['median_seconds']:.3f}",
            f"{one['median_floor_seconds']:.3f}",
            str(one["ratio_to_floor"]),
        )
    Console().print(table, f"growth of the night with the size of the program: {growth}")
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": machine(), "growth": growth, "programs": figures}
    (RESULTS / "rolling_expiry.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What was measured on, and which code."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    cpus = os.cpu_count()
    return {"cpus": cpus, "python": platform.python_version(), "commit": commit.stdout.strip()}


if __name__ == "__main__":
    main()
