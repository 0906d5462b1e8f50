"""A run of a DAG in a real Airflow, and what of its time was the work of its tasks."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import yaml
from customers import bench_program

from loyalty.errors import LoyaltyError
from loyalty.local.airflow import AirflowStack
from loyalty.local.airflow_api import AirflowApi
from loyalty.local.airflow_rest import RestClient
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import wait_until
from loyalty.local.stack import METADATA
from loyalty.settings import PROJECT

NOTES = "task_works.jsonl"
HOURS = 12 * 3600
PATIENCE = 10.0
Work = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a DAG is asked for. Once its task ``written_by`` has ended, all is written that the floor writes."""

    dag_id: str
    partition_key: str | None = None
    conf: dict[str, Any] = field(default_factory=dict)
    written_by: str | None = None


@dataclass(frozen=True)
class AirflowRun:
    """A run: when it was asked for, its tasks' works, and, where it succeeded as a whole, when it had ended."""

    asked_at: float
    works: list[Work]
    written_by: str | None
    ended_at: float | None

    @property
    def whole(self) -> bool:
        """Whether it succeeded; else it was ended when all was written."""
        return self.ended_at is not None

    @property
    def written(self) -> float | None:
        """The seconds until all was written, where a task says so."""
        ends = [work["ended"] - self.asked_at for work in self.works if work["task"] == self.written_by]
        return round(max(ends), 4) if ends else None

    @property
    def seconds(self) -> float:
        """Until its end, or until all was written."""
        return self.written or 0.0 if self.ended_at is None else round(self.ended_at - self.asked_at, 4)

    def as_json(self) -> dict[str, Any]:
        """Steps are the sums of all chunks; ``overhead_seconds`` is the time in which no task worked."""
        steps: dict[str, float] = {}
        for work in self.works:
            name = work["task"].rpartition(".")[2]
            steps[name] = round(steps.get(name, 0.0) + work["ended"] - work["began"], 4)
        return {
            "seconds": self.seconds,
            "overhead_seconds": round(self.seconds - length_of((one["began"], one["ended"]) for one in self.works), 4),
            "task_count": len(self.works),
            "steps": steps,
            "tasks": [self._spans(work) for work in self.works],
        }

    def _spans(self, work: Work) -> list[Any]:
        """The task, and when it worked, in seconds from the request on."""
        return [work["task"], *(round(work[at] - self.asked_at, 2) for at in ("began", "ended"))]


def length_of(spans: Iterable[tuple[float, float]]) -> float:
    """For how long at least one of the spans went on."""
    total, reached = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


class Airflow:
    """The project's own Airflow on one server, in a home of its own."""

    def __init__(self, server: EmbeddedPostgres, database: str) -> None:
        self._server, self._database = server, database
        self._stack: AirflowStack | None = None

    @contextmanager
    def running(self) -> Iterator[list[int]]:
        """Airflow is ready, and these are its processes; nothing of it goes on afterwards."""
        self._stack = self._stack or self._made()
        try:
            self._stack.start()
            self._stack.wait_until_ready(600)
            yield [one.pid for one in self._stack.status() if one.pid]
        finally:
            self._stack.stop(PATIENCE)

    def _made(self) -> AirflowStack:
        home = self._server.home / "airflow-home"
        home.mkdir()
        program = yaml.safe_dump(bench_program().model_dump(mode="json"))
        (home / "program.yaml").write_text(program, encoding="utf-8")
        self._server.ensure_database(METADATA)
        connection = self._server.airflow_connection(self._database)
        stack = AirflowStack(home, self._server.url(METADATA), connection, plugins=_plugins(home))
        stack.migrate()
        return stack

    def run(self, asked: Asked, *, whole: bool) -> AirflowRun:
        """The DAG has run as it was asked to: the whole of it, or until all is written, where a task says so."""
        assert self._stack
        with self._stack.api() as api, closing(self._rest()) as rest:
            self._wait_for_dags(rest)
            api.unpause(asked.dag_id)
            began = time()
            run_id = api.trigger(asked.dag_id, asked.partition_key, asked.conf)
            ended = None
            if whole or asked.written_by is None:
                ended = self._end_of(api, rest, asked.dag_id, run_id)
            else:
                self._wait_until_written(api, asked, run_id)
                api.end_runs(asked.dag_id)
        return AirflowRun(began, self._works(run_id), asked.written_by, ended)

    def _wait_until_written(self, api: AirflowApi, asked: Asked, run_id: str) -> None:
        """The task that writes last has ended."""

        def written() -> bool:
            if api.run(asked.dag_id, run_id).state == "failed":
                raise LoyaltyError(f"{run_id} of {asked.dag_id} failed: {self._last_words(run_id)}")
            return any(work["task"] == asked.written_by for work in self._works(run_id))

        if not wait_until(written, HOURS, interval=2):
            raise LoyaltyError(f"{run_id} of {asked.dag_id} goes on after {HOURS} s")

    def _rest(self) -> RestClient:
        assert self._stack
        return RestClient(self._stack.url, "admin", self._stack.passwords()["admin"])

    def _wait_for_dags(self, rest: RestClient) -> None:
        """Airflow has read the files of all DAGs, and is at rest."""
        count = len(list((PROJECT / "dags").glob("*.py")))
        if not wait_until(lambda: rest.call("GET", "/api/v2/dags")["total_entries"] >= count, 300, interval=1):
            raise LoyaltyError("Airflow has not read the files of all DAGs after 300 s")

    def _end_of(self, api: AirflowApi, rest: RestClient, dag_id: str, run_id: str) -> float:
        """When the run had ended, in seconds since 1970."""
        if not wait_until(lambda: api.run(dag_id, run_id).final, HOURS, interval=2):
            raise LoyaltyError(f"{run_id} of {dag_id} goes on after {HOURS} s")
        found = rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        if found["state"] != "success":
            raise LoyaltyError(f"{run_id} of {dag_id} is {found['state']}: {self._last_words(run_id)}")
        return datetime.fromisoformat(found["end_date"]).timestamp()

    def _works(self, run_id: str) -> list[Work]:
        assert self._stack
        notes = (self._stack.folder / NOTES).read_text(encoding="utf-8").splitlines()
        return [work for work in map(json.loads, notes) if work["run"] == run_id]

    def _last_words(self, run_id: str) -> str:
        """The end of the newest log of the run, which goes with the home."""
        assert self._stack
        logs = sorted(
            (self._stack.folder / "logs").glob(f"dag_id=*/run_id={run_id}/**/*.log"),
            key=lambda one: one.stat().st_mtime,
        )
        return logs[-1].read_text(encoding="utf-8")[-2000:] if logs else "it has no log"


def _plugins(home: Path) -> Path:
    """A folder with the plugins of the project, and the one that notes what tasks do."""
    folder = home / "plugins"
    folder.mkdir()
    for plugin in [*(PROJECT / "plugins").glob("*.py"), Path(__file__).with_name("task_works.py")]:
        (folder / plugin.name).symlink_to(plugin)
    return folder
