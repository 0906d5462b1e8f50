"""One real Airflow for all end-to-end tests of a session: they share a worker, and each fills the ledger anew."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from ledger import program_of
from loyalty.errors import LoyaltyError
from loyalty.local.airflow import AirflowStack
from loyalty.local.airflow_api import AirflowApi, Run, wait_for_runs
from loyalty.local.airflow_rest import RestClient
from loyalty.local.mail_sink import MailSink
from loyalty.local.processes import wait_until
from loyalty.model.program import Program
from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.store.database import open_engine, transaction
from mailing import Inbox, mail_of, sink

LAST_DAY = date(1998, 6, 30)
pytest.register_assert_rewrite("e2e.nights")


@dataclass(frozen=True)
class RunningAirflow:
    """Scheduler, triggerer, DAG processor and API server, and the ledger that their tasks work on."""

    stack: AirflowStack
    api: AirflowApi
    rest: RestClient
    ledger: Engine
    program: Program
    inbox: Inbox
    smtp_connection: str

    def backfill(self, dag_id: str, first: date, last: date, expected: int, seconds: float = 240) -> list[Run]:
        """The runs of these business dates after a backfill of the missing and the failed ones.

        It waits for the one before to be closed, which Airflow does within half a minute. To cancel that one would be
        quicker, but the runs of a cancelled backfill stay queued for ever when they are cleared.
        """
        if not wait_until(lambda: self._accepts_backfill(dag_id, first, last), 60, interval=1):
            raise LoyaltyError("the backfill before is not closed after a minute")
        return wait_for_runs(lambda: self.api.runs(dag_id, first, last), expected, lambda _: None, seconds)

    def wait(self, dag_id: str, run_id: str, seconds: float = 90) -> Run:
        """The run, which is final; else an error that shows how far its tasks are."""
        try:
            return wait_for_runs(lambda: [self.api.run(dag_id, run_id)], 1, lambda _: None, seconds)[0]
        except LoyaltyError as error:
            raise LoyaltyError(f"{error}; {self.task_states(dag_id, run_id)}") from None

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Each task of the run, with its state and how often it was tried."""
        found = self.rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100})
        return {
            f"{one['task_id']}[{one['map_index']}]": f"{one['state']}, try {one['try_number']}"
            for one in found["task_instances"]
        }

    def tries(self, dag_id: str, run_id: str) -> dict[str, int]:
        """How often each task of the run was tried."""
        found = self.rest.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task["try_number"] for task in found}

    def clear(self, dag_id: str, run_id: str) -> None:
        """Every task of the run will run again."""
        self.rest.call("POST", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False})

    def _accepts_backfill(self, dag_id: str, first: date, last: date) -> bool:
        try:
            self.api.create_backfill(dag_id, first, last, reprocess="failed")
        except LoyaltyError as refusal:
            if " 409 " not in str(refusal):
                raise
            return False
        return True


@pytest.fixture(scope="session")
def new_database(server: URL, template: str) -> Iterator[Callable[..., URL]]:
    """Makes databases, empty or migrated, that live until the session ends."""
    admin = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    made: list[str] = []

    def make(kind: str, *, migrated: bool) -> URL:
        made.append(f"{kind}_{uuid4().hex[:12]}")
        with admin.connect() as connection:
            source = f" TEMPLATE {template}" if migrated else ""
            connection.execute(text("SELECT pg_advisory_lock_shared(42)"))
            connection.execute(text(f"CREATE DATABASE {made[-1]}{source}"))
            connection.execute(text("SELECT pg_advisory_unlock_shared(42)"))
        return server.set(database=made[-1])

    yield make
    with admin.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


STOP = pytest.StashKey[ExitStack]()
RunAirflow = Callable[..., AbstractContextManager[RunningAirflow]]


@pytest.fixture(scope="session")
def run_airflow(new_database: Callable[..., URL]) -> RunAirflow:
    """Runs an Airflow in a folder of this name while a body runs."""
    return partial(_running, new_database)


@pytest.fixture(scope="session")
def airflow(run_airflow: RunAirflow, request: pytest.FixtureRequest) -> Iterator[RunningAirflow]:
    """An Airflow that runs the project's DAGs, in UTC, with 20 members a transaction."""
    with ExitStack() as stack:
        request.session.stash[STOP] = stack
        yield stack.enter_context(run_airflow("e2e"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Airflow costs half a processor for as long as it lives: it ends with the last test that needs it."""
    if "airflow" not in getattr(nextitem, "fixturenames", ()) and STOP in item.session.stash:
        item.session.stash[STOP].close()


@contextmanager
def _running(
    new_database: Callable[..., URL], folder: str, executor: Mapping[str, str] | None = None
) -> Iterator[RunningAirflow]:
    home = Path(os.environ["LOYALTY_TEST_HOME"]) / folder
    program = program_of(batch_size=20, ends_on=str(LAST_DAY), mail=mail_of())
    home.mkdir()
    (home / "program.yaml").write_text(yaml.safe_dump(program.model_dump(mode="json")), encoding="utf-8")
    metadata, ledger = new_database("airflow_meta", migrated=False), new_database("loyalty", migrated=True)
    engine = open_engine(ledger)
    with transaction(engine) as connection:
        create_roles(connection)
        grant_roles(connection)
    with sink() as (inbox, server):
        smtp = MailSink(server.port, home).airflow_connection
        url = metadata.render_as_string(hide_password=False)
        stack = AirflowStack(home, url, airflow_connection(ledger), smtp, executor=executor)
        login = ("admin", stack.passwords()["admin"])
        try:
            stack.migrate()
            stack.start()
            stack.wait_until_ready()
            with stack.api() as api, closing(RestClient(stack.url, *login)) as rest:
                yield RunningAirflow(stack, api, rest, engine, program, inbox, smtp)
        finally:
            stack.stop(patience=10)
            engine.dispose()


def airflow_connection(url: URL) -> str:
    """The database through TCP, so that the process behind a session can be told by its port."""
    port = url.port or int(str(url.query["port"]))
    where = {"conn_type": "postgres", "host": url.host or "127.0.0.1", "port": port, "schema": url.database}
    return json.dumps(where | {"login": url.username, "password": url.password})
