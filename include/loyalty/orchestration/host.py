"""What Airflow is to the dashboard that it shows: who asks, what they may see, when runs come, where tasks are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import Engine, select

from loyalty.orchestration.ledger import reader_url
from loyalty.store.database import READER, open_engine


def reading_engine() -> Engine:
    """An engine on the ledger whose sessions only read, and no longer than ten seconds a statement."""
    return open_engine(reader_url(), READER, pool_size=4, max_overflow=4, pool_pre_ping=True)


def may_see(user: Any, journey: str) -> bool:
    """Whether the user may read the runs of the DAG of this name."""
    return bool(
        get_auth_manager().is_authorized_dag(
            method="GET", user=user, access_entity=DagAccessEntity.RUN, details=DagDetails(id=journey)
        )
    )


def next_runs(journeys: Sequence[str]) -> Mapping[str, datetime | None]:
    """When Airflow starts the next run of each of these DAGs; None for one that is paused, or has no schedule."""
    wanted = select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after)
    with create_session() as session:
        found = session.execute(wanted.where(DagModel.dag_id.in_(journeys))).all()
    return {dag: None if paused else following for dag, paused, following in found}


def task_path(journey: str, run_key: str, task: str, place: int | None) -> str:
    """Where Airflow's pages show a task of a run, or the one of its mapped tasks at this place."""
    base = conf.get("api", "base_url", fallback="/").rstrip("/")
    mapped = "" if place is None else f"/mapped/{place}"
    return f"{base}/dags/{quote(journey)}/runs/{quote(run_key, safe='')}/tasks/{quote(task)}{mapped}"
