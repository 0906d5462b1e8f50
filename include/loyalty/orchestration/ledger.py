"""The ledger as a task sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import URL, Connection, make_url

from loyalty.definitions.load_program import load_program
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.settings import load_settings
from loyalty.store.database import connect, open_engine, transaction
from loyalty.store.schema import require_current

CONNECTION = "loyalty_postgres"
READER_CONNECTION = "loyalty_reader"


@dataclass(frozen=True)
class Ledger:
    """A connection with no transaction going on, and the program that the ledger works by."""

    connection: Connection
    program: Program


@contextmanager
def ledger() -> Iterator[Ledger]:
    """The ledger has the schema of this code and works by this installation's program; its connection is the task's."""
    program = load_program(load_settings().program)
    engine = open_engine(ledger_url())
    try:
        with transaction(engine) as connection:
            require_current(connection)
            apply_program(connection, program)
        with connect(engine) as connection:
            yield Ledger(connection, program)
    finally:
        engine.dispose()


def ledger_url() -> URL:
    """Where Airflow's connection ``loyalty_postgres`` leads, else LOYALTY_DATABASE_URL."""
    hook = PostgresHook(CONNECTION)
    if not _is_known(hook):
        return _url_of_the_environment()
    return hook_url(hook)


def reader_url() -> URL:
    """Where Airflow's connection ``loyalty_reader`` leads, else where the ledger is."""
    hook = PostgresHook(READER_CONNECTION)
    return hook_url(hook) if _is_known(hook) else ledger_url()


def hook_url(hook: PostgresHook) -> URL:
    """Where the hook's connection leads, its extras for libpq included."""
    extra = hook.connection.extra_dejson
    libpq = {name: str(value) for name, value in extra.items() if name not in hook.ignored_extra_options}
    url: URL = hook.sqlalchemy_url
    return url.update_query_dict(libpq)


def _is_known(hook: PostgresHook) -> bool:
    try:
        return hook.connection is not None
    except AirflowNotFoundException:
        return False


def _url_of_the_environment() -> URL:
    url = load_settings().database_url
    if url is None:
        raise LoyaltyError(
            f"Airflow knows no connection {CONNECTION!r}, and LOYALTY_DATABASE_URL is not set: one of them must say "
            "where the ledger is"
        )
    return make_url(url)
