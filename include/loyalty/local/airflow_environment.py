"""The environment that makes Airflow this project's own: its folders, its ports, its secrets, its metadata."""

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import make_url

from loyalty.local.kept import free_port, kept, write_private

USERS = ("admin", "viewer")
EXECUTOR = "AIRFLOW__CORE__EXECUTOR"
ABOUT_EXECUTORS = (EXECUTOR, "AIRFLOW__CELERY")
SIMPLE_AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@dataclass(frozen=True)
class Ports:
    """Where the API server and the log servers listen on 127.0.0.1."""

    api: int
    worker_log: int
    trigger_log: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.api}"


def kept_ports(folder: Path) -> Ports:
    """The ports of the stack in ``folder``, chosen once."""
    return Ports(**json.loads(kept(folder / "ports.json", lambda: json.dumps(_free_ports()))))


def freed_ports(folder: Path) -> Ports:
    """The same ports as before wherever they are still free; for a stack of which nothing runs."""
    write_private(folder / "ports.json", json.dumps(_free_ports(asdict(kept_ports(folder)))))
    return kept_ports(folder)


def _free_ports(wanted: dict[str, int] | None = None) -> dict[str, int]:
    return {name: free_port((wanted or {}).get(name)) for name in ("api", "worker_log", "trigger_log")}


def passwords(folder: Path) -> dict[str, str]:
    """Each user's password, generated once, in the file from which Airflow reads them."""
    made = kept(_passwords_file(folder), lambda: json.dumps({user: secrets.token_urlsafe(12) for user in USERS}))
    return dict(json.loads(made))


def _passwords_file(folder: Path) -> Path:
    return folder / "simple_auth_manager_passwords.json.generated"


def inherited() -> dict[str, str]:
    """The caller's environment without other Airflows and other databases, and with no proxy before our own ports."""
    kept_variables = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PG"))}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1,localhost"]))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return kept_variables | {"NO_PROXY": direct, "no_proxy": direct, "PATH": path}


def chosen_executor() -> dict[str, str]:
    """What runs the tasks, in Airflow's own variables: as the caller's environment has them, else LocalExecutor."""
    given = {name: value for name, value in os.environ.items() if name.startswith(ABOUT_EXECUTORS)}
    return {EXECUTOR: "LocalExecutor"} | given


def configuration(folder: Path, ports: Ports, metadata_url: str) -> dict[str, str]:
    """Airflow's settings as section.option: quick to notice, bound to 127.0.0.1, no telemetry."""
    return {
        "core.parallelism": "4",
        "celery.worker_concurrency": "2",
        "core.load_examples": "False",
        "core.auth_manager": SIMPLE_AUTH_MANAGER,
        "core.simple_auth_manager_users": "admin:admin,viewer:viewer",
        "core.simple_auth_manager_passwords_file": str(_passwords_file(folder)),
        "core.fernet_key": _secret(folder, "fernet_key", urlsafe_b64encode(secrets.token_bytes(32)).decode()),
        "core.execution_api_server_url": f"{ports.base_url}/execution/",
        "core.hostname_callable": f"{loopback_name.__module__}.{loopback_name.__name__}",
        "database.sql_alchemy_conn": metadata_url,
        "database.sql_alchemy_conn_async": async_url(metadata_url),
        "api.base_url": ports.base_url,
        "api.host": "127.0.0.1",
        "api.port": str(ports.api),
        "api.workers": "1",
        "api.secret_key": _secret(folder, "secret_key", secrets.token_urlsafe(64)),
        "api_auth.jwt_secret": _secret(folder, "jwt_secret", secrets.token_urlsafe(64)),
        "logging.base_log_folder": str(folder / "logs"),
        "logging.worker_log_server_port": str(ports.worker_log),
        "logging.trigger_log_server_port": str(ports.trigger_log),
        # A worker whose task begins to wait for a human's answer is put away at its next heartbeat only; an answer that
        # comes before is lost (see AirflowApi.question).
        "workers.min_heartbeat_interval": "1",
        "scheduler.scheduler_idle_sleep_time": "0.3",
        "scheduler.orphaned_tasks_check_interval": "10",
        "dag_processor.refresh_interval": "10",
        "usage_data_collection.enabled": "False",
    }


def as_variables(settings: dict[str, str]) -> dict[str, str]:
    """AIRFLOW__SECTION__OPTION for each section.option."""
    return {"AIRFLOW__" + name.upper().replace(".", "__"): value for name, value in settings.items()}


def async_url(metadata_url: str) -> str:
    """The same database for asyncpg, which knows nothing of libpq's other parameters."""
    url = make_url(metadata_url)
    query = {name: value for name, value in url.query.items() if name in ("host", "port")}
    return url.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def loopback_name() -> str:
    """The host name that Airflow records: everything runs here, and no name server need know this machine."""
    return "localhost"


def _secret(folder: Path, name: str, fresh: str) -> str:
    return kept(folder / "secrets" / name, lambda: fresh)
