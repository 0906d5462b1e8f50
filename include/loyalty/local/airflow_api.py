"""Airflow's REST API, as far as a demo and a test need it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import httpx

from loyalty.errors import LoyaltyError
from loyalty.local.airflow_rest import RestClient

FINAL = ("success", "failed")
PAGE = 100
WORKER_IS_GONE = timedelta(seconds=5)
# A run of the demonstration takes seconds; on a machine with much else to do, minutes.
PATIENCE_SECONDS = 1200


@dataclass(frozen=True)
class Run:
    """One run of a DAG; ``partition_key`` is its business date."""

    run_id: str
    partition_key: str | None
    run_type: str
    state: str

    @property
    def final(self) -> bool:
        return self.state in FINAL


class AirflowApi:
    """What a demo asks of Airflow, in the name of one user."""

    def __init__(self, url: str, username: str, password: str, transport: httpx.BaseTransport | None = None) -> None:
        self._rest = RestClient(url, username, password, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rest.close()

    def health(self) -> dict[str, str | None]:
        """The health of each component; empty while the API server does not answer."""
        found = self._rest.peek("/api/v2/monitor/health")
        return {name: part["status"] for name, part in found.items() if part}

    def import_errors(self) -> list[str]:
        """Each DAG file that cannot be imported, with the end of its traceback."""
        found = self._rest.call("GET", "/api/v2/importErrors", params={"limit": PAGE})["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def wait_for_dag(self, dag_id: str, seconds: float = 60) -> None:
        """The DAG is known; a file that cannot be imported is told at once."""
        deadline = time.monotonic() + seconds
        while not self._knows(dag_id):
            if time.monotonic() > deadline:
                raise LoyaltyError(f"Airflow does not know the DAG {dag_id!r} after {seconds:.0f} s")
            faults = self.import_errors()
            if faults:
                raise LoyaltyError("DAG files cannot be imported:\n" + "\n".join(faults))
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """The DAG is scheduled."""
        self._rest.call(
            "PATCH", f"/api/v2/dags/{dag_id}", params={"update_mask": "is_paused"}, json={"is_paused": False}
        )

    def trigger(self, dag_id: str, partition_key: str | None = None, conf: dict[str, Any] | None = None) -> str:
        """A new manual run, of one partition where a key is given; returns its id."""
        wanted = {"logical_date": None, "partition_key": partition_key, "conf": conf or {}}
        return str(self._rest.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=wanted)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Run:
        """The run as it is now."""
        return _run(self._rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str, first: date, last: date, run_type: str | None = None) -> list[Run]:
        """The runs whose partition lies between ``first`` and ``last``, both included, in the order of time."""
        asked = {
            "partition_date_gte": str(first),
            "partition_date_lte": str(last),
            "order_by": "run_after",
            "limit": PAGE,
        }
        if run_type:
            asked["run_type"] = run_type
        found: list[Run] = []
        while True:
            page = self._rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=asked | {"offset": len(found)})
            found.extend(_run(run) for run in page["dag_runs"])
            if not page["dag_runs"] or len(found) >= page["total_entries"]:
                return found

    def create_backfill(
        self, dag_id: str, first: date, last: date, reprocess: str = "none", max_active_runs: int = 1
    ) -> int:
        """A backfill over the business dates ``first`` to ``last``, both included; returns its id.

        ``reprocess`` is none, failed or completed. Airflow reads the bounds by their wall clock, in the DAG's zone.
        """
        wanted = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T23:59:59Z",
            "reprocess_behavior": reprocess,
            "max_active_runs": max_active_runs,
        }
        return int(self._rest.call("POST", "/api/v2/backfills", json=wanted)["id"])

    def end_runs(self, dag_id: str) -> None:
        """No earlier run of the DAG is queued or going on: what was left unfinished has failed."""
        going_on = {"state": ["queued", "running"], "limit": PAGE}
        for run in self._rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=going_on)["dag_runs"]:
            path = f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
            self._rest.call("PATCH", path, params={"update_mask": "state"}, json={"state": "failed"})

    def question(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """What a human is asked by the task of the run, as Markdown; None before an answer is safe.

        Airflow takes a task that is answered while its worker is still being put away for one that has failed: it tries
        the task again, and the answer is lost.
        """
        asked = self._rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        for one in asked:
            task, age = one["task_instance"], datetime.now(UTC) - datetime.fromisoformat(one["created_at"])
            if (task["task_id"], task["state"]) == (task_id, "awaiting_input") and age > WORKER_IS_GONE:
                return str(one["body"])
        return None

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """The task of the run has its answer, in the name of this user."""
        self._rest.call(
            "PATCH",
            f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {}},
        )

    def _knows(self, dag_id: str) -> bool:
        return bool(self._rest.call("GET", f"/api/v2/dags/{dag_id}", unless=httpx.codes.NOT_FOUND))


def wait_for_runs(
    look: Callable[[], list[Run]],
    expected: int,
    on_change: Callable[[Run], None],
    seconds: float = PATIENCE_SECONDS,
) -> list[Run]:
    """At least ``expected`` runs are there and all are final; ``on_change`` has seen each state of each run."""
    deadline = time.monotonic() + seconds
    seen: dict[str, str] = {}
    while True:
        found = look()
        for run in found:
            if seen.get(run.run_id) != run.state:
                seen[run.run_id] = run.state
                on_change(run)
        if len(found) >= expected and all(run.final for run in found):
            return found
        if time.monotonic() > deadline:
            waiting = ", ".join(f"{run.partition_key or run.run_id} {run.state}" for run in found if not run.final)
            raise LoyaltyError(f"after {seconds:.0f} s {len(found)} of {expected} runs are there; not final: {waiting}")
        time.sleep(0.5)


def _run(answer: dict[str, Any]) -> Run:
    return Run(answer["dag_run_id"], answer["partition_key"], answer["run_type"], answer["state"])
