"""The local stack's Airflow is its own, but for the executor, which the caller's environment may choose."""

from pathlib import Path

import pytest

from loyalty.local.airflow import CELERY, CELERY_WORKERS, AirflowStack
from loyalty.local.airflow_environment import EXECUTOR

BROKER = "AIRFLOW__CELERY__BROKER_URL"
OURS = {"api-server", "dag-processor", "scheduler", "triggerer"}


def stack_in(folder: Path) -> AirflowStack:
    return AirflowStack(folder, "postgresql+psycopg2://airflow@localhost/airflow", "{}")


def components_of(stack: AirflowStack) -> set[str]:
    return {component.name for component in stack.components}


def test_tasks_run_in_the_scheduler_where_nothing_else_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXECUTOR, raising=False)
    assert stack_in(tmp_path).environment()[EXECUTOR] == "LocalExecutor"
    assert components_of(stack_in(tmp_path)) == OURS


def test_the_environment_chooses_celery_which_brings_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR, CELERY)
    monkeypatch.setenv(BROKER, "redis://127.0.0.1:6379/3")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "99")
    found = stack_in(tmp_path).environment()
    assert (found[EXECUTOR], found[BROKER]) == (CELERY, "redis://127.0.0.1:6379/3")
    assert found["AIRFLOW__CORE__PARALLELISM"] == "4", "no other setting of another Airflow comes in"
    assert components_of(stack_in(tmp_path)) == {*OURS, *CELERY_WORKERS}
