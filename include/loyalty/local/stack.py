"""PostgreSQL and Airflow of one installation, started and stopped together."""

import json
import shutil

from sqlalchemy.engine import make_url

from loyalty.local.airflow import AirflowStack
from loyalty.local.ledger import embedded_ledger
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.settings import Settings

METADATA = "airflow_meta"


class Stack:
    """Airflow with its metadata in the embedded server, on the ledger of LOYALTY_DATABASE_URL or of that server."""

    def __init__(self, settings: Settings, database: str, smtp_connection: str | None = None) -> None:
        self.settings = settings
        self.database = database
        self._smtp_connection = smtp_connection
        self.postgres = EmbeddedPostgres(settings.home)

    @property
    def airflow(self) -> AirflowStack:
        """The Airflow of this installation; PostgreSQL must have been started."""
        return AirflowStack(self.settings.home, self.postgres.url(METADATA), self._connection(), self._smtp_connection)

    def start(self) -> None:
        """Airflow is ready, its metadata and the ledger's server with it; starting again changes nothing."""
        self.postgres.start()
        for name in (METADATA, self.database):
            self.postgres.ensure_database(name)
        if not self.settings.database_url:
            embedded_ledger(self.postgres.url(self.database)).dispose()
        airflow = self.airflow
        airflow.migrate()
        airflow.start()
        airflow.wait_until_ready()

    def stop(self) -> None:
        """No process of either is left."""
        AirflowStack(self.settings.home, metadata_url="", loyalty_connection="").stop()
        self.postgres.stop()

    def remove(self) -> None:
        """Nothing of either is left."""
        self.stop()
        self.postgres.remove()
        shutil.rmtree(self.settings.home, ignore_errors=True)

    def _connection(self) -> str:
        if not self.settings.database_url:
            return self.postgres.airflow_connection(self.database)
        url = make_url(self.settings.database_url)
        socket = url.query.get("host")
        return json.dumps(
            {
                "conn_type": "postgres",
                "host": url.host or (socket if isinstance(socket, str) else None),
                "port": url.port,
                "login": url.username,
                "password": url.password,
                "schema": url.database,
            }
        )
