"""`POST /v1/events` in batches of 500, against its floor.

The floor is, over as many connections and in as many transactions, a bare COPY of the same rows into a temporary table
and one set-based insert from there, by whoever owns the ledger: the ledger's triggers, but no HTTP, no JSON to be
judged, no keys. Both write into databases of their own on the same server, in turns. Interrupting leaves nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from own_server import own_server
from record import write_record
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text
from stopwatch import seconds

from loyalty.definitions.load_program import load_program
from loyalty.local.kept import free_port
from loyalty.local.processes import wait_until
from loyalty.services.api_keys import KeyRights, create_key
from loyalty.services.apply_program import apply_program
from loyalty.settings import PACKAGE
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import upgrade

BATCH, CUSTOMERS = 500, 50_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
COPY = "COPY told (customer_id, key, occurred_at, event_id, params) FROM STDIN"
STAGE = (
    "CREATE TEMP TABLE IF NOT EXISTS told (customer_id text, key uuid, occurred_at timestamptz, event_id text, "
    "params jsonb) ON COMMIT DELETE ROWS"
)
MOVE = (
    "INSERT INTO loyalty.profile (customer_id) SELECT DISTINCT customer_id FROM told ORDER BY 1 "
    "ON CONFLICT (customer_id) DO NOTHING",
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, event_id) "
    "SELECT profile_id, key, 'transaction.charge', occurred_at, params, event_id "
    "FROM told JOIN loyalty.profile USING (customer_id) ORDER BY profile_id ON CONFLICT (profile_id, key) DO NOTHING",
)


def items(number: int) -> list[dict[str, Any]]:
    """A batch of purchases."""
    return [
        {
            "customer_id": f"c{(number * BATCH + n) * 7919 % CUSTOMERS}",
            "action": "transaction.charge",
            "occurred_at": (BEGIN + timedelta(seconds=number * BATCH + n)).isoformat(),
            "event_id": f"{number}-{n}",
            "$totalAmount": (number + n) % 400 + 0.5,
            "$orderID": f"A-{number}-{n}",
        }
        for n in range(BATCH)
    ]


@contextmanager
def api(engine: Engine) -> Iterator[str]:
    port = free_port()
    environment = os.environ | {"LOYALTY_DATABASE_URL": engine.url.render_as_string(hide_password=False)}
    command = [str(Path(sys.executable).with_name("loyalty")), "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    try:
        assert wait_until(ready, 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def send(address: str, token: str, bodies: Sequence[bytes]) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
        for body in bodies:
            answer = client.post("/v1/events", content=body)
            assert answer.json()["stored"] == BATCH, answer.text[:500]


def copy(engine: Engine, batches: Sequence[list[tuple[Any, ...]]]) -> None:
    with engine.connect() as connection:
        for rows in batches:
            with connection.begin():
                connection.execute(text(STAGE))
                raw: Any = connection.connection.driver_connection
                with raw.cursor() as cursor, cursor.copy(COPY) as copying:
                    for row in rows:
                        copying.write_row(row)
                for statement in MOVE:
                    connection.execute(text(statement))


def rows_of(batch: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            one["customer_id"],
            md5(f"id:{one['event_id']}".encode()).hexdigest(),
            one["occurred_at"],
            one["event_id"],
            json.dumps({name: value for name, value in one.items() if name.startswith("$")}),
        )
        for one in batch
    ]


def side_by_side(work: Any, parts: Sequence[Any]) -> None:
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(work, parts))


def ledger(url: str, guards: bool) -> Engine:
    engine = open_engine(url, pool_size=16)
    with transaction(engine) as connection:
        upgrade(connection)
        apply_program(connection, load_program(PACKAGE / "definitions" / "program.yaml"))
        if not guards:
            for place in ["event", *(f"event_{n}" for n in range(16))]:
                connection.execute(text(f"ALTER TABLE loyalty.{place} DISABLE TRIGGER ALL"))
    return engine


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--connections", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    batches = [items(number) for number in range(given.events // BATCH)]
    share = max(1, len(batches) // given.rounds)
    found: dict[str, list[float]] = {"API": [], "floor": [], "floor without triggers": []}
    with own_server() as server:
        for name in ("api", "floor", "bare"):
            server.ensure_database(name)
        door, floor, bare = (ledger(server.url(name), name != "bare") for name in ("api", "floor", "bare"))
        with transaction(door) as connection:
            token = create_key(connection, "benchmark", KeyRights())
        with api(door) as address:
            for at in range(given.rounds):
                part = batches[at * share : (at + 1) * share]
                bodies = [json.dumps(batch).encode() for batch in part]
                rows = [rows_of(batch) for batch in part]
                threads, count = given.connections, len(part) * BATCH
                spread = [bodies[n::threads] for n in range(threads)]
                took = seconds(lambda spread=spread: side_by_side(lambda one: send(address, token, one), spread))
                found["API"].append(count / took)
                for name, engine in (("floor", floor), ("floor without triggers", bare)):
                    laid = [rows[n::threads] for n in range(threads)]
                    took = seconds(lambda laid=laid, engine=engine: side_by_side(lambda one: copy(engine, one), laid))
                    found[name].append(count / took)
        with transaction(door) as connection:
            assert connection.scalar(text("SELECT count(*) FROM loyalty.event")) == share * given.rounds * BATCH
        for engine in (door, floor, bare):
            engine.dispose()
    middle = {name: median(values) for name, values in found.items()}
    table = Table("", "events/s", "API as a part of it", title=f"batches of {BATCH}, {given.connections} connections")
    for name, value in middle.items():
        table.add_row(name, f"{value:,.0f}", f"{middle['API'] / value:.2f}")
    Console().print(table)
    write_record("events_api", {"options": vars(given), "events_per_second": found, "median": middle})


if __name__ == "__main__":
    main()
