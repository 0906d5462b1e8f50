"""The batch cancellation on two Celery workers, with a Redis; needs redis-server, and the extra `celery`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from e2e import crowd
from e2e.nights import Night, everybody_ended_as_they_must, everybody_heard_how_many, first_round, tasks
from loyalty.local.airflow import CELERY, CELERY_WORKERS
from loyalty.local.airflow_environment import EXECUTOR
from loyalty.local.kept import free_port, port_is_free
from loyalty.local.processes import wait_until

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(which("redis-server") is None, reason="needs redis-server: apt-get install redis-server"),
    pytest.mark.skipif(find_spec("celery") is None, reason="needs the Celery provider: install the extra `celery`"),
]
CUSTOMERS, CHUNKS = 420, 4
CHUNK = CUSTOMERS // CHUNKS
PROGRAM = crowd.crowd_program(20)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of the tests' own, on 127.0.0.1, that keeps nothing."""
    with redis(tmp_path_factory.mktemp("redis"), free_port()) as url:
        yield url


@contextmanager
def redis(folder: Path, port: int) -> Iterator[str]:
    listening = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--logfile", "redis.log"]
    server = subprocess.Popen(["redis-server", *listening, "--save", "", "--appendonly", "no"])
    try:
        assert wait_until(lambda: not port_is_free(port), 30)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def airflow(run_airflow: Any, broker: str) -> Iterator[Any]:
    """An Airflow whose scheduler runs no task itself."""
    with run_airflow("celery", {EXECUTOR: CELERY, "AIRFLOW__CELERY__BROKER_URL": broker}) as running:
        yield running


@pytest.fixture(scope="module")
def night(airflow: Any) -> Iterator[Night]:
    with first_round(airflow, PROGRAM, CUSTOMERS, CHUNK) as night:
        yield night


def tasks_run(broker: str) -> dict[str, int]:
    """How many tasks each worker has taken from the broker, by its name."""
    from celery import Celery

    with Celery(broker=broker) as app:
        told = app.control.inspect(timeout=5).stats() or {}
    return {name.partition("@")[2]: sum(stats["total"].values()) for name, stats in told.items()}


def test_everybody_ends_as_with_local_workers(airflow: Any, night: Night) -> None:
    expected = everybody_ended_as_they_must(airflow, night)
    assert {fate.reason for fate in expected.values()} == {None, *crowd.FATES.values()}


def test_everybody_who_lost_points_and_consents_hears_how_many_once(airflow: Any, night: Night) -> None:
    everybody_heard_how_many(airflow, night)


def test_every_task_of_every_chunk_went_right_the_first_time(airflow: Any, night: Night) -> None:
    done = tasks(airflow, night.dag_run)
    assert {one["state"] for one in done} == {"success"}
    assert {one["map_index"] for one in done if one["task_id"] == "cancel_chunk.deduct_points"} == set(range(CHUNKS))
    assert {one["try_number"] for one in done} <= {0, 1}  # 0: nothing but its trigger ran


def test_both_workers_ran_tasks_and_nobody_else_did(airflow: Any, night: Night, broker: str) -> None:
    ran = tasks_run(broker)
    assert set(ran) == set(CELERY_WORKERS)
    assert all(ran.values())
    for_workers = [one for one in tasks(airflow, night.dag_run) if "await" not in one["task_id"]]  # triggers wait
    assert sum(ran.values()) >= len(for_workers)
