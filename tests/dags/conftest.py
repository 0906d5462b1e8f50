"""An Airflow of the tests' own: its home is thrown away, its metadata are SQLite, its ledger is the test's database."""

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import URL

from ledger import program_of

PROJECT = Path(__file__).parents[2]


@pytest.hookimpl(trylast=True)  # after the folder of the session was made
def pytest_configure() -> None:
    # Airflow reads its settings when it is first imported, and no test module has done that yet.
    home = Path(os.environ["LOYALTY_TEST_HOME"]) / f"airflow-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


@pytest.fixture
def dags() -> dict[str, Any]:
    """The DAGs of the project, by their ids; fresh, since a run in this process leaves its parameters in them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="session")
def metadata() -> None:
    """Airflow's metadata database is there."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initdb()


@pytest.fixture
def program_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the DAGs: days in UTC, points for 182 days, a point for each unit, two members a transaction."""
    rule = {"name": "purchase", "action": "transaction.charge", "earns": "points.loyalty", "points_per_unit": "1"}
    program = program_of(earning_rules=[rule], batch_size=2)
    path = tmp_path / "program.yaml"
    path.write_text(yaml.safe_dump(program.model_dump(mode="json")), encoding="utf-8")
    monkeypatch.setenv("LOYALTY_PROGRAM", str(path))
    return path


@pytest.fixture
def airflow_connection(database_url: URL, program_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connection leads to the test's database."""
    url, where = database_url, database_url.query
    server = {"host": url.host or where["host"], "port": url.port or int(where["port"])}
    login = {"login": url.username, "password": url.password, "schema": url.database}
    monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_POSTGRES", json.dumps({"conn_type": "postgres"} | server | login))


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and each task of it: its state, the number of its tries and what it pushed."""

    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    pushed: dict[str, Any]


@pytest.fixture
def run(dags: dict[str, Any], metadata: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs a DAG in this process, as dag.test() does, with a partition key and a run id of the caller's choice."""
    from airflow.models import dagrun

    create = dagrun.get_or_create_dagrun

    def run(dag_id: str, key: str | None = None, run_id: str = "manual__one", **params: object) -> Outcome:
        def create_with_key(*, session: Any, **arguments: Any) -> Any:
            made = create(session=session, **(arguments | {"run_id": run_id}))
            made.partition_key = key
            session.commit()
            return made

        monkeypatch.setattr(dagrun, "get_or_create_dagrun", create_with_key)
        for task in dags[dag_id].tasks:
            task.retry_delay = timedelta(0)
        return outcome(dags[dag_id].test(logical_date=None, run_conf=params))

    return run


def outcome(dag_run: Any) -> Outcome:
    tasks = {task.task_id: task for task in dag_run.get_task_instances()}
    return Outcome(
        state=str(dag_run.state),
        tasks={name: str(task.state) for name, task in tasks.items()},
        tries={name: task.try_number for name, task in tasks.items()},
        pushed={name: task.xcom_pull(task_ids=name) for name, task in tasks.items()},
    )
