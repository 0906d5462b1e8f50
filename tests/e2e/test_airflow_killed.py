"""Tasks, the triggerer and PostgreSQL are killed at random moments of a real run, which ends like one left alone."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from sqlalchemy import URL, make_url, text

from e2e import crowd
from e2e.world import World
from loyalty.definitions.balance import balance_catalog
from loyalty.local.airflow import AirflowStack
from loyalty.local.airflow_rest import RestClient
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import send, wait_until
from loyalty.services import batch_cancellation as journey
from loyalty.services.decide_run import decide_run
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import upgrade

DAG = "batch_cancellation"
pytestmark = pytest.mark.exhaustive
CUSTOMERS, CHUNK, BATCH = 600, 300, 20
PROGRAM = crowd.crowd_program(
    BATCH, chunk_size=CHUNK, spared={"count": crowd.SPARE_DAYS, "unit": "days"}, approval=False
)
TASKS = 26  # of a run in two chunks
MINUTES_FOR_RETRIES = 10
MOMENTS = {"a task": 12, "the triggerer": 8, "PostgreSQL": 10}


@pytest.fixture(scope="module")
def undisturbed(airflow: Any) -> crowd.Books:
    """What a run leaves behind that goes from step to step in this process, without Airflow."""
    crowd.gather(airflow.ledger, PROGRAM, CUSTOMERS)
    run = journey.settings_of(PROGRAM)
    own, catalog = journey.catalog_of_run(balance_catalog, PROGRAM, run)
    with World(airflow.ledger, CUSTOMERS), airflow.ledger.connect() as connection:
        run_id = journey.snapshot(connection, own, catalog, run, run_key="undisturbed")
        with connection.begin():
            decide_run(connection, run_id, "not needed", decided_by="nobody")
        for number in journey.cut(connection, run_id, size=BATCH):
            journey.cancel_chunk(connection, run_id, number, size=BATCH)
        journey.finish(connection, run_id)
    return crowd.books(airflow.ledger, run_id)


@pytest.fixture(scope="module")
def with_a_server_of_its_own(
    airflow: Any, new_database: Callable[..., URL], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Another Airflow, whose ledger alone is on the PostgreSQL of its home; its metadata are on the session's."""
    home = tmp_path_factory.mktemp("killed")
    (home / "program.yaml").write_text(yaml.safe_dump(PROGRAM.model_dump(mode="json")), encoding="utf-8")
    server = EmbeddedPostgres(home)
    server.start()
    server.ensure_database("loyalty")
    ledger = open_engine(make_url(server.url("loyalty")))
    with transaction(ledger) as connection:
        upgrade(connection)
    metadata = new_database("airflow_meta", migrated=False).render_as_string(hide_password=False)
    stack = AirflowStack(home, metadata, server.airflow_connection("loyalty"), airflow.smtp_connection)
    login = ("admin", stack.passwords()["admin"])
    try:
        stack.migrate()
        stack.start()
        stack.wait_until_ready()
        with stack.api() as api, closing(RestClient(stack.url, *login)) as rest:
            yield replace(airflow, stack=stack, api=api, rest=rest, ledger=ledger)
    finally:
        stack.stop()
        ledger.dispose()
        server.remove()


def kill_a_task(airflow: Any, chance: random.Random) -> None:
    """One of the processes of tasks that there are, or the next one."""
    seen: list[psutil.Process] = []
    assert wait_until(lambda: bool(seen.extend(task_processes(airflow)) or seen), 120, interval=0.01)
    send([chance.choice(seen).pid], signal.SIGKILL)


def task_processes(airflow: Any) -> list[psutil.Process]:
    """The scheduler's children are its workers, and theirs are tasks."""
    try:
        workers = psutil.Process(pid_of(airflow, "scheduler")).children()
        return [task for worker in workers for task in worker.children()]
    except psutil.NoSuchProcess:
        return []


def kill_triggerer(airflow: Any, chance: random.Random) -> None:
    send([pid_of(airflow, "triggerer")], signal.SIGKILL)
    assert wait_until(lambda: pid_of(airflow, "triggerer") is None, 30)
    airflow.stack.start()


def pid_of(airflow: Any, name: str) -> int | None:
    return next(status.pid for status in airflow.stack.status() if status.name == name)


def kill_postgres(airflow: Any, chance: random.Random) -> None:
    """The postmaster of the ledger's own server; nobody starts it again for some seconds."""
    with transaction(airflow.ledger) as connection:
        data = Path(str(connection.scalar(text("SHOW data_directory"))))
    send([int((data / "postmaster.pid").read_text().splitlines()[0])], signal.SIGKILL)
    time.sleep(chance.uniform(0, 8))
    EmbeddedPostgres(airflow.stack.home).start()


def run_and_strike(airflow: Any, strike: Callable[[Any, random.Random], None], chance: random.Random) -> crowd.Books:
    """What a run leaves behind that was struck at some moment, and was waited for."""
    crowd.gather(airflow.ledger, PROGRAM, CUSTOMERS)
    airflow.api.wait_for_dag(DAG)
    airflow.api.unpause(DAG)
    with World(airflow.ledger, CUSTOMERS):
        dag_run, done = airflow.api.trigger(DAG), chance.randrange(TASKS - 1)
        assert wait_until(lambda: tasks_done(airflow, dag_run) >= done, 600, interval=0.1)
        time.sleep(chance.uniform(0, 1))
        strike(airflow, chance)
        assert airflow.wait(DAG, dag_run, 60 * MINUTES_FOR_RETRIES).state == "success"
    with transaction(airflow.ledger) as connection:
        run_id = crowd.newest_run(connection)
    assert set(airflow.inbox.ids().values()) == {1}
    return crowd.books(airflow.ledger, run_id)


def tasks_done(airflow: Any, dag_run: str) -> int:
    """How far the run is; its moments are counted in tasks, since seconds mean little on a busy machine."""
    where = f"/api/v2/dags/{DAG}/dagRuns/{dag_run}/taskInstances"
    found = airflow.rest.call("GET", where, params={"limit": 100, "state": ["success", "skipped"]})
    return int(found["total_entries"])


@pytest.mark.parametrize("moment", range(MOMENTS["a task"]))
def test_a_run_ends_right_although_a_task_was_killed(airflow: Any, undisturbed: crowd.Books, moment: int) -> None:
    with crowd.working_by(airflow, PROGRAM):
        assert run_and_strike(airflow, kill_a_task, random.Random(f"task {moment}")) == undisturbed


@pytest.mark.parametrize("moment", range(MOMENTS["the triggerer"]))
def test_a_run_ends_right_although_the_triggerer_was_killed(
    airflow: Any, undisturbed: crowd.Books, moment: int
) -> None:
    with crowd.working_by(airflow, PROGRAM):
        assert run_and_strike(airflow, kill_triggerer, random.Random(f"triggerer {moment}")) == undisturbed


@pytest.mark.parametrize("moment", range(MOMENTS["PostgreSQL"]))
def test_a_run_ends_right_although_its_postgres_was_killed(
    undisturbed: crowd.Books, with_a_server_of_its_own: Any, moment: int
) -> None:
    chance = random.Random(f"PostgreSQL {moment}")
    assert run_and_strike(with_a_server_of_its_own, kill_postgres, chance) == undisturbed
