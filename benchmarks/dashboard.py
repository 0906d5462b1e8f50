"""How quickly each page of the dashboard answers, whatever the size of the program.

Customers with one earning each, a finished cancellation of all of them in ten chunks with its progress, another one of
the same size that is under way, and a counted calendar. Pages are asked for over HTTP, by one reader, from a server in
this process, each with other customers. Interrupting leaves nothing behind.
"""

import argparse
import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from own_server import own_server
from record import vacuum, write_record
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text
from stopwatch import seconds

from loyalty.dashboard.app import create_app
from loyalty.dashboard.surroundings import Surroundings
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.local.kept import free_port
from loyalty.local.ledger import embedded_ledger
from loyalty.local.processes import wait_until
from loyalty.services.apply_program import apply_program
from loyalty.services.count_calendar import count_calendar
from loyalty.settings import PACKAGE
from loyalty.store.database import READER, open_engine

CHUNKS = 10
# The guards are off, which would take most of the time; what they would have written is written here.
MAKING = (
    "SET LOCAL session_replication_role = replica",
    """
    INSERT INTO loyalty.profile (customer_id, attributes)
    SELECT 'customer-' || n, jsonb_build_object('email', 'customer-' || n || '@example.org')
    FROM generate_series(1, CAST(:members AS integer)) AS n
    """,
    """
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params)
    SELECT profile_id, md5(profile_id::text)::uuid, 'points.loyalty',
           now() - (40 + profile_id % 130) * interval '1 day', 10 + profile_id % 90,
           jsonb_build_object('points', 10 + profile_id % 90) FROM loyalty.profile
    """,
    """
    INSERT INTO loyalty.account (profile_id, balance, latest_at)
    SELECT profile_id, 10 + profile_id % 90, now() - (40 + profile_id % 130) * interval '1 day' FROM loyalty.profile
    """,
    """
    INSERT INTO loyalty.points_flow (day, effect, slot, points, event_count)
    SELECT timezone(:zone, occurred_at)::date, 'earn', 0, sum(points), count(*) FROM loyalty.event GROUP BY 1
    """,
    """
    INSERT INTO loyalty.journey_run
        (journey, run_key, state, as_of, business_date, definitions, fingerprint, finished_at, decision)
    SELECT 'batch_cancellation', key, state, now(), now()::date, CAST(:definitions AS jsonb), 'made', ended, 'approved'
    FROM (VALUES ('manual__done', 'completed', now()), ('manual__going', 'running', NULL)) AS made(key, state, ended)
    """,
    """
    INSERT INTO loyalty.journey_chunk (run_id, chunk, first_profile_id, last_profile_id)
    SELECT run_id, chunk, min(profile_id), max(profile_id)
    FROM loyalty.journey_run CROSS JOIN (SELECT profile_id, ntile(:chunks) OVER (ORDER BY profile_id) - 1 AS chunk
                                         FROM loyalty.profile) AS cut
    GROUP BY run_id, chunk
    """,
    """
    INSERT INTO loyalty.journey_member
        (run_id, profile_id, state, reason, points, approved, lock_requested_at, locked_at, finished_at,
         balance_locked, balance_after)
    SELECT run_id, profile_id,
           CASE WHEN profile_id % 50 = 0 THEN 'failed' WHEN is_over THEN 'completed' ELSE 'locked' END,
           CASE WHEN profile_id % 50 = 0 THEN 'lock_timeout' END,
           CASE WHEN profile_id % 50 <> 0 AND is_over THEN balance ELSE 0 END, balance, now(), now(),
           CASE WHEN profile_id % 50 = 0 OR is_over THEN now() END, balance, CASE WHEN is_over THEN 0 END
    FROM loyalty.account CROSS JOIN (SELECT run_id, finished_at IS NOT NULL AS is_over FROM loyalty.journey_run) AS run
    """,
    "SELECT loyalty.note_members(run_id) FROM loyalty.journey_run",
    # As if it had been counted by four sessions over five minutes.
    """
    INSERT INTO loyalty.journey_progress
    SELECT run_id, chunk, state, reason, moment - n * interval '5 seconds', backend + n % 4, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM loyalty.journey_progress CROSS JOIN generate_series(1, 60) AS n
    """,
)


def main() -> None:
    """The table is printed, and the figures are in benchmarks/results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, default=5_000_000, help="customers, and members of each run")
    arguments.add_argument("--times", type=int, default=40, help="how often each page is asked for")
    given = arguments.parse_args()
    with own_server() as server:
        server.ensure_database("loyalty")
        url = server.url("loyalty")
        engine = embedded_ledger(url)
        with engine.connect() as connection:
            making = seconds(lambda: make(connection, given.members))
        engine.dispose()
        with served(url) as client:
            pages = {name: ask(client, paths) for name, paths in asked(given.members, given.times).items()}
    show(given.members, pages)
    write_record("dashboard", {"members": given.members, "making_seconds": round(making), "milliseconds": pages})


def make(connection: Connection, members: int) -> None:
    """The ledger is as this file's beginning says."""
    program = load_program(PACKAGE / "definitions" / "program.yaml")
    definitions = json.dumps(load_catalog(program).to_json())
    binds = {"members": members, "zone": program.timezone, "chunks": CHUNKS, "definitions": definitions}
    with connection.begin():
        apply_program(connection, program)
        for statement in MAKING:
            connection.execute(text(statement), binds)
    vacuum(connection)
    with connection.begin():
        count_calendar(connection)


@contextmanager
def served(url: str) -> Iterator[httpx.Client]:
    """A client of a dashboard on this ledger."""
    around = Surroundings(
        ledger=lambda: open_engine(url, READER, pool_size=4),
        asking=lambda: "reader",
        may_see=lambda _user, _journey: True,
        next_runs=dict.fromkeys,
        task_path=lambda *_: "/",
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(around), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert wait_until(lambda: server.started, 20)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/ui/", timeout=60, trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join(20)


def asked(members: int, times: int) -> dict[str, list[str]]:
    """The addresses of each page, with other customers each time."""
    some = [1 + 7919 * n % members for n in range(times)]
    return {
        "program": ["program"] * times,
        "journeys": ["runs"] * times,
        "run, over": ["run?run=1"] * times,
        "run, going on": ["run?run=2"] * times,
        "run, failed members of a customer": [f"run?run=1&customer=customer-{n}" for n in some],
        "customer, by id": [f"customer?id=customer-{n}" for n in some],
        "customer, by address": [f"customers?words=customer-{n}@example.org" for n in some],
        "definitions": ["definitions"] * times,
        "definition, an expression": ["definition?name=points_to_cancel"] * times,
        "definition, a segment": ["definition?name=points_to_expire"] * times,
        "(after it: size of a segment)": ["definition/size?name=points_to_expire"] * times,
        "(after it: size of an expression)": ["definition/size?name=points_to_cancel"] * times,
    }


def ask(client: httpx.Client, paths: list[str]) -> dict[str, float]:
    """The median and the 95th percentile of milliseconds; the first answer, which imports and plans, is not counted."""
    fetch(client, paths[0])
    took = sorted(1000 * seconds(lambda path=path: fetch(client, path)) for path in paths)  # type: ignore[misc]
    return {"p50": round(statistics.median(took), 1), "p95": round(took[int(0.95 * len(took)) - 1], 1)}


def fetch(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (200, 303), answer.text[:500]


def show(members: int, pages: dict[str, dict[str, Any]]) -> None:
    table = Table(title=f"Pages with {members:,} members, milliseconds")
    for column in ("page", "p50", "p95"):
        table.add_column(column, justify="left" if column == "page" else "right")
    for name, took in pages.items():
        table.add_row(name, f"{took['p50']:.0f}", f"{took['p95']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
