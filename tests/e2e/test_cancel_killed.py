"""`loyalty cancel` is killed at random moments, or its PostgreSQL is; taken up again, it ends like one left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, make_url, text

from e2e import crowd
from e2e.servers import end_and_restart
from e2e.world import World
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import wait_until
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import upgrade

CUSTOMERS, CHUNK, BATCH = 1500, 500, 50
PROGRAM = crowd.crowd_program(BATCH, chunk_size=CHUNK, spared={"count": crowd.SPARE_DAYS, "unit": "days"})
COMMAND = [str(Path(sys.executable).with_name("loyalty")), "cancel", "--yes", "--resume", "cli/killed"]
DEFAULT, ALL = 1, 10  # of each of the three kinds


@dataclass
class Shop:
    """A PostgreSQL of the test's own, a crowd in it, and commands that work on it."""

    server: EmbeddedPostgres
    program: Path
    ledger: Engine
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def cancel(self) -> "subprocess.Popen[bytes]":
        """The command, which has just begun to work on the ledger."""
        environment = {
            "LOYALTY_DATABASE_URL": self.server.url("loyalty"),
            "LOYALTY_PROGRAM": str(self.program),
        }
        log = (self.program.parent / "commands.log").open("ab")
        with log:
            process = subprocess.Popen(COMMAND, env=os.environ | environment, stdout=log, stderr=log)
        self.started.append(process)
        assert wait_until(lambda: process.poll() is not None or self.is_worked_on(), 60)
        return process

    def is_worked_on(self) -> bool:
        """Whether anybody but this process has a session."""
        asked = text(
            "SELECT EXISTS (SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name <> 'test')"
        )
        with transaction(self.ledger) as connection:
            return bool(connection.scalar(asked))

    def books(self) -> crowd.Books:
        with transaction(self.ledger) as connection:
            run_id = crowd.newest_run(connection)
        return crowd.books(self.ledger, run_id)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("shop")
    program = home / "program.yaml"
    program.write_text(yaml.safe_dump(PROGRAM.model_dump(mode="json")), encoding="utf-8")
    server = EmbeddedPostgres(home)
    server.start()
    server.ensure_database("loyalty")
    ledger = open_engine(make_url(server.url("loyalty")).update_query_dict({"application_name": "test"}))
    with transaction(ledger) as connection:
        upgrade(connection)
    shop = Shop(server, program, ledger)
    yield shop
    for process in shop.started:
        process.kill()
        process.wait()
    ledger.dispose()
    server.remove()


@pytest.fixture(scope="module")
def undisturbed(shop: Shop) -> tuple[crowd.Books, float]:
    """What a run that nobody disturbs leaves behind, and how many seconds it works."""
    crowd.gather(shop.ledger, PROGRAM, CUSTOMERS)
    with World(shop.ledger, CUSTOMERS):
        process, begun = shop.cancel(), time.monotonic()
        assert process.wait(120) == 0
    return shop.books(), time.monotonic() - begun


def kill_command(shop: Shop, process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def stop_server_at_once(shop: Shop, process: "subprocess.Popen[bytes]") -> None:
    """What `pg_ctl stop -m immediate` does."""
    end_and_restart(shop.server, shop.ledger, signal.SIGQUIT, lambda: process.wait(60))


def kill_postmaster(shop: Shop, process: "subprocess.Popen[bytes]") -> None:
    end_and_restart(shop.server, shop.ledger, signal.SIGKILL, lambda: process.wait(60))


Blow = Callable[[Shop, "subprocess.Popen[bytes]"], None]
BLOWS: dict[str, Blow] = {
    "its process": kill_command,
    "PostgreSQL at once": stop_server_at_once,
    "the postmaster": kill_postmaster,
}
MOMENTS = [
    pytest.param(blow, moment, id=f"{blow}-{moment}", marks=[pytest.mark.exhaustive] if moment >= DEFAULT else [])
    for blow in BLOWS
    for moment in range(ALL)
]


@pytest.mark.parametrize(("blow", "moment"), MOMENTS)
def test_killed_and_taken_up_again_it_ends_like_one_left_alone(
    shop: Shop, undisturbed: tuple[crowd.Books, float], blow: str, moment: int
) -> None:
    expected, seconds = undisturbed
    crowd.gather(shop.ledger, PROGRAM, CUSTOMERS)
    with World(shop.ledger, CUSTOMERS):
        process = shop.cancel()
        time.sleep(random.Random(f"{blow} {moment}").uniform(0, seconds))
        BLOWS[blow](shop, process)
        assert shop.cancel().wait(120) == 0
    assert shop.books() == expected


def test_an_undisturbed_run_takes_what_plain_arithmetic_says(
    shop: Shop, undisturbed: tuple[crowd.Books, float]
) -> None:
    crowd.gather(shop.ledger, PROGRAM, CUSTOMERS)
    with transaction(shop.ledger) as connection:
        told = crowd.facts(connection)
        now = connection.scalar(text("SELECT clock_timestamp()"))
    assert undisturbed[0].members == crowd.fates(told, now)
