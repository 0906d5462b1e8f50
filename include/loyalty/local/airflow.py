"""A real Airflow on one machine: scheduler, DAG processor, triggerer and API server, as processes of our own."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loyalty.errors import LoyaltyError
from loyalty.local import airflow_environment as its
from loyalty.local.airflow_api import AirflowApi
from loyalty.local.airflow_component import Component
from loyalty.local.kept import locked
from loyalty.local.processes import wait_until
from loyalty.settings import PROJECT

# A running task reports to the API server until its last moment: these end first, and the API server after them.
FIRST_TO_END = ("dag-processor", "scheduler", "triggerer")
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
CELERY = "CeleryExecutor"
CELERY_WORKERS = ("celery-worker-1", "celery-worker-2")


@dataclass(frozen=True)
class ComponentStatus:
    """``pid`` is None where the component does not run."""

    name: str
    pid: int | None


class AirflowStack:
    """The Airflow of one ``home``; its connections are values of AIRFLOW_CONN_… variables.

    ``executor`` are the variables that say what runs the tasks, the environment's where not given: LocalExecutor, or
    CeleryExecutor with a broker (AIRFLOW__CELERY__BROKER_URL), and then two workers are components, too.
    """

    def __init__(
        self,
        home: Path,
        metadata_url: str,
        loyalty_connection: str,
        smtp_connection: str | None = None,
        dags: Path = PROJECT / "dags",
        plugins: Path = PROJECT / "plugins",
        executor: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.expanduser().resolve()
        self.folder = self.home / "airflow"
        self._metadata_url = metadata_url
        self._connections = {"AIRFLOW_CONN_LOYALTY_POSTGRES": loyalty_connection}
        if smtp_connection:
            self._connections["AIRFLOW_CONN_LOYALTY_SMTP"] = smtp_connection
        self._code = {"core.dags_folder": str(dags.resolve()), "core.plugins_folder": str(plugins.resolve())}
        # Without log servers, which would listen on every interface: the API server reads the same folder.
        unserved = ("--skip-serve-logs",)
        self._first = (
            Component("dag-processor", self.folder),
            Component("scheduler", self.folder, unserved),
            # The database keeps what its triggers wait for; its own way out takes it ten seconds and more.
            Component("triggerer", self.folder, unserved, longest=2.0),
        )
        self._executor = dict(its.chosen_executor() if executor is None else executor)
        self._workers = tuple(self._celery_worker(name, unserved) for name in CELERY_WORKERS)
        self._last = Component("api-server", self.folder)

    @property
    def components(self) -> tuple[Component, ...]:
        workers = self._workers if CELERY in self._executor[its.EXECUTOR] else ()
        return (self._last, *self._first, *workers)

    @property
    def url(self) -> str:
        """Where the UI and the REST API are."""
        return its.kept_ports(self.folder).base_url

    def passwords(self) -> dict[str, str]:
        """The password of each user, ``admin`` and ``viewer``."""
        return its.passwords(self.folder)

    def api(self) -> AirflowApi:
        """A REST client that acts as ``admin``."""
        return AirflowApi(self.url, "admin", self.passwords()["admin"])

    def environment(self) -> dict[str, str]:
        """All that a process of this Airflow needs to know; it holds secrets."""
        self.passwords()
        settings = its.configuration(self.folder, its.kept_ports(self.folder), self._metadata_url) | self._code
        own = {"AIRFLOW_HOME": str(self.folder), "LOYALTY_HOME": str(self.home)}
        return its.inherited() | its.as_variables(settings) | self._executor | self._connections | own

    def migrate(self) -> None:
        """Airflow's metadata database has the schema of the installed Airflow."""
        with locked(self.folder / "lock"):
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            done = subprocess.run(
                command, env=self.environment(), cwd=self.folder, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
            raise LoyaltyError(f"`airflow db migrate` failed:\n{end}")

    def start(self) -> None:
        """Every component runs; those that ran already are left alone."""
        with locked(self.folder / "lock"):
            if not any(status.pid for status in self.status()):
                its.freed_ports(self.folder)
            environment = self.environment()
            for component in self.components:
                component.start(environment)

    def wait_until_ready(self, seconds: float = 180) -> None:
        """Scheduler, triggerer, DAG processor and database are healthy, as the API server sees them."""
        with self.api() as api:
            if not wait_until(lambda: self._healthy(api), seconds, interval=0.25):
                raise LoyaltyError(
                    f"Airflow was not ready after {seconds:.0f} s ({api.health()}); see {self.folder}/logs"
                )

    def stop(self, patience: float = 90) -> None:
        """No process of this Airflow is left; tasks that ran had ``patience`` seconds to end in good order."""
        if not self.folder.is_dir():
            return
        with locked(self.folder / "lock"):
            before_the_last = (*self._first, *self._workers)  # whatever executor this one would start with
            for component in before_the_last:
                component.ask_to_end()
            for component in before_the_last:
                component.end(patience)
            self._last.ask_to_end()
            self._last.end(patience)

    def status(self) -> list[ComponentStatus]:
        """Each component, with the pid of the one that runs."""
        return [ComponentStatus(component.name, component.pid()) for component in self.components]

    def _celery_worker(self, name: str, options: tuple[str, ...]) -> Component:
        return Component(name, self.folder, ("--celery-hostname", name, *options), words=("celery", "worker"))

    def _healthy(self, api: AirflowApi) -> bool:
        for component in self.components:
            component.check()
        health = api.health()
        return all(health.get(part) == "healthy" for part in HEALTHY)
