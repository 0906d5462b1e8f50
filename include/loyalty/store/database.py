"""Connecting to the ledger's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from loyalty.errors import LoyaltyError

OLDEST_SERVER = 15
# For somebody else's database, whatever its own settings are.
READING = r"-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\ read"
READING += " -c timezone=UTC -c datestyle=ISO"


# For whoever only looks: with the rights of the role that reads, and never for long.
READER = "-c role=loyalty_reader -c default_transaction_read_only=on -c statement_timeout=10s"
READER += r" -c default_transaction_isolation=repeatable\ read"
# Nothing is compiled (jit): over so many partitions that takes longer than to run it. Events are added up partition by
# partition, where each fits into memory and a second process can help.
PLANNING = "-c jit=off -c enable_partitionwise_aggregate=on"


def open_engine(url: str | URL, session: str = "", **options: Any) -> Engine:
    """An engine whose sessions think in UTC and plan each statement for its values (no generic plans).

    ``session`` are further settings of every session, as libpq has them.
    """
    try:
        target = make_url(url)
    except ArgumentError:
        raise LoyaltyError(
            f"LOYALTY_DATABASE_URL={url!r} is no database URL; it looks like postgresql://user:password@host:5432/loyalty"
        ) from None
    if target.get_backend_name() != "postgresql":
        raise LoyaltyError(f"the ledger lives in PostgreSQL, and {target.drivername!r} is something else")
    engine = create_engine(
        target.set(drivername="postgresql+psycopg"),
        connect_args={
            "options": f"-c timezone=UTC -c search_path=public {PLANNING} {session}",
            "prepare_threshold": None,
            "connect_timeout": 10,
        },
        **options,
    )
    return _refusing_old_servers(engine)


def _refusing_old_servers(engine: Engine) -> Engine:
    """The same engine, made to tell of a server that is too old for the ledger."""

    @event.listens_for(engine, "first_connect")
    def _refuse_an_old_server(driver_connection: object, _record: object) -> None:
        version = driver_connection.info.server_version  # type: ignore[attr-defined]
        if version < OLDEST_SERVER * 10_000:
            raise LoyaltyError(f"PostgreSQL {version // 10_000} is too old: {OLDEST_SERVER} or newer is needed")

    return engine


def connect(engine: Engine) -> Connection:
    """A connection with no transaction going on; a server that cannot be reached is said plainly."""
    try:
        return engine.connect()
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise LoyaltyError(f"no database answers at {where}: {str(error.orig).strip()}") from error


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection whose work is committed at the end, or never happened."""
    with connect(engine) as connection, connection.begin():
        yield connection


@contextmanager
def source_connection(url: str | URL) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection to somebody else's PostgreSQL that only reads; within a transaction it sees one moment."""
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(target, autocommit=True, options=READING, client_encoding="utf8")
    except psycopg.OperationalError as error:
        where = make_url(url).render_as_string(hide_password=True)
        raise LoyaltyError(f"no database answers at {where}: {str(error).strip()}") from error
    with connection:
        yield connection


def server_version(connection: Connection) -> str:
    """What the server calls itself, as in '18.1'."""
    return str(connection.scalar(text("SHOW server_version"))).split()[0]
