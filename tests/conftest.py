"""A real PostgreSQL for all tests of a session, and a fresh copy of the migrated database for each that asks.

The embedded server serves by default; LOYALTY_TEST_DATABASE_URL names another one, by a role that may create databases.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL, make_url
from xdist.scheduler import LoadScopeScheduling

from databases import HOME, SERVER, admin, cloned
from effort import ALL
from loyalty.local import server_place
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import newest_version, upgrade

TEMPLATE = f"loyalty_template_{newest_version()}"
MEMORY = Path("/dev/shm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the exhaustive cases too, which take minutes each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--all"):
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    for name in ("LOYALTY_DATABASE_URL", "LOYALTY_PROGRAM", "LOYALTY_HOME", ALL):
        os.environ.pop(name, None)
    if config.getoption("--all"):
        os.environ[ALL] = "yes"
    if not hasattr(config, "workerinput"):
        os.environ[HOME] = tempfile.mkdtemp(prefix="loyalty-test-", dir=MEMORY if _is_roomy(MEMORY) else None)
    if Path(os.environ[HOME]).parent == MEMORY:
        server_place.SYSTEM_ROOT = MEMORY  # root's server has its files there


def _is_roomy(memory: Path) -> bool:
    """Whether the tests' databases have room there: they are made six times faster than on a disk."""
    there = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 << 30
    return there and psutil.virtual_memory().available > 12 << 30


# Tests whose path starts so share an Airflow, or a large ledger, and so a worker.
TOGETHER = {
    "tests/dags/": "dags",
    "tests/e2e/test_airflow": "Airflow",
    "tests/e2e/test_browser": "Airflow",
    "tests/e2e/test_benchmarks": "benchmarks",
    "tests/e2e/test_cdnow": "CDNOW",
    "tests/plans/": "plans",
}


class Together(LoadScopeScheduling):
    """Hands out tests one by one, but those that belong together all to one worker, and first."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for start, shared in TOGETHER.items() if nodeid.startswith(start)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(os.environ[HOME])
        EmbeddedPostgres(home).remove()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def server() -> URL:
    """A role and a server on which databases may be created."""
    given = os.environ.get(SERVER)
    if given:
        return make_url(given).set(drivername="postgresql+psycopg")
    embedded = EmbeddedPostgres(Path(os.environ[HOME]))
    embedded.start()
    url = make_url(embedded.url("postgres"))
    with admin(url).connect() as connection:  # nobody needs these data after a power cut, and databases come and go
        for promise in ("fsync", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {promise} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    return url


@pytest.fixture(scope="session")
def template(server: URL) -> str:
    """The name of a migrated, empty database, made by the first worker that needs it."""
    with admin(server).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(42)"))
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": TEMPLATE}):
            building = f"{TEMPLATE}_building"
            connection.execute(text(f"DROP DATABASE IF EXISTS {building}"))
            connection.execute(text(f"CREATE DATABASE {building}"))
            engine = open_engine(server.set(database=building))
            with transaction(engine) as fresh:
                upgrade(fresh)
            engine.dispose()
            connection.execute(text(f"ALTER DATABASE {building} RENAME TO {TEMPLATE}"))
        connection.execute(text("SELECT pg_advisory_unlock(42)"))
    return TEMPLATE


@pytest.fixture
def database_url(server: URL, template: str) -> Iterator[URL]:
    """The URL of a migrated database of the test's own."""
    with cloned(server, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database(server: URL, template: str) -> Iterator[Engine]:
    """An engine on a migrated database that the tests of a module share."""
    with cloned(server, template) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def database(database_url: URL) -> Iterator[Engine]:
    """An engine on a migrated database of the test's own."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()
