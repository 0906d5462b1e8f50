"""The events API is killed under load, or its PostgreSQL is: what was acknowledged is stored, and once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from e2e.servers import end_and_restart
from ledger import program_of
from loyalty.local.kept import free_port
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import wait_until
from loyalty.services.apply_program import apply_program
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import upgrade
from serving import calling, event, key

SENDERS, BATCH = 4, 25
KILLS = [pytest.param(2, id="2 kills"), pytest.param(20, id="20 kills", marks=pytest.mark.exhaustive)]


@dataclass
class Door:
    """An API in a process of its own, on a PostgreSQL of the test's own."""

    server: EmbeddedPostgres
    ledger: Engine
    token: str
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """The API answers."""
        command = [str(Path(sys.executable).with_name("loyalty")), "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            environment = os.environ | {"LOYALTY_DATABASE_URL": self.server.url("loyalty")}
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        assert wait_until(self.is_ready, 60, interval=0.2), self.log.read_text()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health/ready", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(30)

    def stored(self) -> int:
        with transaction(self.ledger) as connection:
            return int(connection.scalar(text("SELECT count(*) FROM loyalty.event")) or 0)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    server = EmbeddedPostgres(tmp_path)
    server.start()
    server.ensure_database("loyalty")
    ledger = open_engine(server.url("loyalty"), pool_pre_ping=True)
    with transaction(ledger) as connection:
        upgrade(connection)
        apply_program(connection, program_of())
    door = Door(server, ledger, key(ledger), free_port(), tmp_path / "api.log")
    yield door
    door.kill()
    ledger.dispose()
    server.remove()


@dataclass
class Sender:
    """Sends batch after batch, each again until it is acknowledged."""

    door: Door
    number: int
    ended: threading.Event
    acknowledged: list[list[dict[str, Any]]] = field(default_factory=list)

    def run(self) -> None:
        with calling(self.door.address, self.door.token) as caller:
            while not self.ended.is_set():
                n = len(self.acknowledged)
                batch = [event(f"c{i}", event_id=f"{self.number}-{n}-{i}") for i in range(BATCH)]
                while not self.is_taken(caller, batch):
                    time.sleep(0.05)
                self.acknowledged.append(batch)

    def is_taken(self, caller: httpx.Client, batch: list[dict[str, Any]]) -> bool:
        try:
            answer = caller.post("/v1/events", json=batch)
        except httpx.HTTPError:
            return False
        if answer.status_code == 503:
            return False
        assert answer.status_code == 200, answer.text
        assert answer.json()["rejected"] == 0, answer.text
        return True


@pytest.mark.parametrize("kills", KILLS)
def test_every_acknowledged_event_is_stored_exactly_once(door: Door, kills: int) -> None:
    door.open()
    chance, ended = random.Random(kills), threading.Event()
    senders = [Sender(door, number, ended) for number in range(SENDERS)]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        time.sleep(chance.uniform(0.3, 1.5))
        if kill % 2:
            door.kill()
            door.open()
        else:
            end_and_restart(door.server, door.ledger, signal.SIGKILL)
    time.sleep(0.5)
    ended.set()
    for thread in threads:
        thread.join(60)
    batches = [batch for sender in senders for batch in sender.acknowledged]
    assert len(batches) > kills
    assert door.stored() == len(batches) * BATCH
    with calling(door.address, door.token) as caller:
        again = [caller.post("/v1/events", json=batch).json() for batch in batches]
    assert [(one["stored"], one["known"]) for one in again] == [(0, BATCH)] * len(batches)
    assert door.stored() == len(batches) * BATCH
