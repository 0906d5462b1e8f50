"""A plugin of Airflow's: each task's process notes when its operator began, and when it was done.

The notes are lines of JSON in the file ``task_works.jsonl`` of AIRFLOW_HOME. What Airflow itself needs before and
after (a process, its imports, the database of its own) is not between the two.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

NOTES = "task_works.jsonl"
_began: float | None = None  # in a process that only hears of the end of others' tasks, nothing has begun


@hookimpl
def on_task_instance_running(task_instance: Any) -> None:  # noqa: ARG001
    global _began
    _began = time.time()


@hookimpl
def on_task_instance_success(task_instance: Any) -> None:
    _note(task_instance)


@hookimpl
def on_task_instance_skipped(task_instance: Any) -> None:
    _note(task_instance)


@hookimpl
def on_task_instance_failed(task_instance: Any) -> None:
    _note(task_instance)


def _note(task_instance: Any) -> None:
    if _began is None:
        return
    work = {"run": task_instance.run_id, "task": task_instance.task_id, "began": _began, "ended": time.time()}
    with (Path(os.environ["AIRFLOW_HOME"]) / NOTES).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps(work) + "\n")


class TaskWorks(AirflowPlugin):
    """The functions above."""

    name = "task_works"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow's own form
