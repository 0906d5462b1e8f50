"""Mail: rendered and handed over to a local sink, against its floor.

The floor is a bare loop that hands over letters already rendered, to the same sink, over as many connections in as many
processes. Both are measured in turns, several times; each message must have come once. Interrupting leaves nothing
behind.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from threading import Event, Thread

import psutil
from own_server import own_server
from record import vacuum, write_record
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text
from stopwatch import seconds

from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_program import load_program
from loyalty.local.kept import free_port
from loyalty.mail.handover import Fate, MailServer
from loyalty.model.mail import Mail
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.campaigns import Campaigns
from loyalty.services.mail_order import order_of
from loyalty.services.rolling_expiry import run_rolling_expiry
from loyalty.services.send_mail import send_mail
from loyalty.services.write_mail import draft_mail, write_letter
from loyalty.settings import PACKAGE
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import upgrade

DAY = date(2026, 7, 3)
MAIL = Mail.model_validate(
    {
        "sender": "Our program <points@example.org>",
        "consent": "mail_consent",
        "unsubscribe_url": "https://shop.example.org/unsubscribe?c={customer_id}&m={key}",
        "shop_url": "https://shop.example.org/offers",
        "utm": {},
        "campaigns": [{"name": "points_expired", "about": "points_expired"}],
    }
)
CUSTOMERS = (
    "INSERT INTO loyalty.profile (customer_id, attributes) SELECT 'c' || n, jsonb_build_object("
    "'email', 'c' || n || '@example.org', 'mail_consent', true, 'first_name', 'Zoë ' || n, "
    "'locale', CASE n % 2 WHEN 0 THEN 'en' ELSE 'pl' END) FROM generate_series(1, CAST(:members AS integer)) AS n",
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, gen_random_uuid(), 'points.loyalty', '2026-01-01 12:00+00', 10 + profile_id % 500, "
    "jsonb_build_object('points', 10 + profile_id % 500), 'benchmark' FROM loyalty.profile",
)
AGAIN = (
    "UPDATE loyalty.email SET state = 'queued', ended_at = NULL, sender_id = NULL, attempts = 0, "
    "not_before = clock_timestamp()"
)
SETS = 2_000  # letters that the floor hands over again and again


@contextmanager
def sink() -> Iterator[tuple[MailServer, "subprocess.Popen[str]"]]:
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("mail_sink.py")), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield MailServer("127.0.0.1", port, security="none"), process
    finally:
        process.kill()
        process.wait()


def taken(process: "subprocess.Popen[str]") -> tuple[int, int]:
    """How many messages the sink took, and how many different ones."""
    out, _ = process.communicate()
    count, distinct = out.split()
    return int(count), int(distinct)


def hand_over(server: MailServer, letters: list[bytes], count: int) -> None:
    with server.connect() as handover:
        for at in range(count):
            answer = handover.send("points@example.org", "c@example.org", letters[at % len(letters)])
            assert answer.fate is Fate.SENT


def floor_process(server: MailServer, letters: list[bytes], counts: list[int]) -> None:
    with ThreadPoolExecutor(len(counts)) as pool:
        list(pool.map(lambda count: hand_over(server, letters, count), counts))


def floor(server: MailServer, letters: list[bytes], members: int, connections: int) -> float:
    """Seconds for as many letters over as many connections in as many processes."""
    processes = min(connections, os.cpu_count() or 1)
    counts = [members // connections + (at < members % connections) for at in range(connections)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(len, [letters] * processes))  # the processes are there before the clock runs

        def work() -> None:
            done = [pool.submit(floor_process, server, letters, counts[at::processes]) for at in range(processes)]
            for one in done:
                one.result()

        return seconds(work)


def make(engine: Engine, program: Program, members: int) -> None:
    with transaction(engine) as connection:
        upgrade(connection)
        apply_program(connection, program)
        for statement in CUSTOMERS:
            connection.execute(text(statement), {"members": members} if ":members" in statement else {})
    with engine.connect() as connection:
        vacuum(connection)
        run_rolling_expiry(connection, program, balance_catalog(program), run_key="bench", business_date=DAY)
        vacuum(connection)


def some_letters(engine: Engine, campaigns: Campaigns) -> list[bytes]:
    campaign = campaigns.mail.campaigns[0]
    with transaction(engine) as connection:
        found = connection.execute(text("SELECT profile_id, key FROM loyalty.email LIMIT :n"), {"n": SETS})
        drafts = draft_mail(connection, campaigns, campaign, [tuple(row) for row in found], datetime.now(UTC))
    return [write_letter(campaigns, campaign, draft).wire for draft in drafts]


class Memory(Thread):
    """The most that one of this process's children has held at once, in MiB; the sink is not asked."""

    def __init__(self, leave_out: int) -> None:
        super().__init__(daemon=True)
        self.peak, self._ended, self._leave_out = 0.0, Event(), leave_out

    def run(self) -> None:
        while not self._ended.wait(0.2):
            for child in psutil.Process().children(recursive=True):
                if child.pid != self._leave_out:
                    try:
                        self.peak = max(self.peak, child.memory_info().rss / 2**20)
                    except psutil.NoSuchProcess:
                        continue

    def stop(self) -> float:
        self._ended.set()
        self.join()
        return round(self.peak)


def measure(members: int, rounds: int) -> dict[str, object]:
    program = load_program(PACKAGE / "definitions" / "program.yaml").model_copy(
        update={"mail": MAIL, "timezone": "UTC"}
    )
    campaigns = Campaigns(program, balance_catalog(program), None)
    with own_server() as server:
        server.ensure_database("bench")
        engine = open_engine(server.url("bench"))
        make(engine, program, members)
        letters = some_letters(engine, campaigns)
        ours, floors, peaks = [], [], []
        for _ in range(rounds):
            with sink() as (mail_server, process):
                floors.append(floor(mail_server, letters, members, MAIL.connections))
            with transaction(engine) as connection:
                connection.execute(text(AGAIN))
            with engine.connect() as connection:
                vacuum(connection)
            order = order_of(server.url("bench"), program, campaigns.catalog, None, MailServer("", 0))
            with sink() as (mail_server, process), engine.connect() as connection:
                memory = Memory(process.pid)
                memory.start()
                begun = time.perf_counter()
                send_mail(connection, type(order)(**(vars(order) | {"server": mail_server})))
                ours.append(time.perf_counter() - begun)
                peaks.append(memory.stop())
                assert taken(process) == (members, members)
        engine.dispose()
    return {
        "members": members,
        "connections": MAIL.connections,
        "letter_bytes": round(sum(map(len, letters)) / len(letters)),
        "seconds": round(median(ours), 2),
        "floor_seconds": round(median(floors), 2),
        "per_second": round(members / median(ours)),
        "floor_per_second": round(members / median(floors)),
        "ratio": round(median(floors) / median(ours), 2),
        "peak_mib_of_a_process": max(peaks),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    table = Table(title="mail, rendered and handed over to a local sink")
    found = []
    for members in asked.members:
        found.append(measure(members, asked.rounds))
        if not table.columns:
            for name in found[0]:
                table.add_column(name.replace("_", " "), justify="right")
        table.add_row(*(f"{value:,}" for value in found[-1].values()))
    Console().print(table)
    write_record("mail", {"sizes": found})


if __name__ == "__main__":
    main()
