"""Databases of the tests' own on the server of the session."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

HOME = "LOYALTY_TEST_HOME"
SERVER = "LOYALTY_TEST_DATABASE_URL"


@contextmanager
def cloned(server: URL, template: str) -> Iterator[URL]:
    """The URL of a copy of the template, which is dropped at the end."""
    name = f"loyalty_{uuid4().hex[:12]}"
    with admin(server).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock_shared(42)"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
        connection.execute(text("SELECT pg_advisory_unlock_shared(42)"))
        yield server.set(database=name)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def admin(server: URL) -> Engine:
    return create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
