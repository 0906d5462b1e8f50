"""The schema's version: bring it to the newest, or refuse to work on another one."""

from pathlib import Path

from sqlalchemy import Connection, text

from loyalty.errors import LoyaltyError
from loyalty.store.queries import query

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """The database has the newest schema; two callers at once do it one after the other."""
    # Alembic takes half a second to import, and every task of a journey asks only for the version.
    from alembic import command
    from alembic.config import Config

    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('loyalty.schema'))"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS loyalty"))
    if current_version(connection) not in (None, *_known_versions()):
        require_current(connection)
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def require_current(connection: Connection) -> None:
    """The schema is the one this code was written for, else an error says which side is older."""
    found, newest = current_version(connection), newest_version()
    if found == newest:
        return
    if found is None:
        raise LoyaltyError("the database has no loyalty schema yet: run `loyalty db upgrade`")
    if found in _known_versions():
        raise LoyaltyError(f"the schema is at {found}, too old for this code ({newest}): run `loyalty db upgrade`")
    raise LoyaltyError(f"the schema is at {found}, too new for this code ({newest}): install the newer code")


def current_version(connection: Connection) -> str | None:
    """The version that the database says it has; None where there is no schema."""
    if not connection.scalar(query("has_schema")):
        return None
    version: str | None = connection.scalar(query("schema_version"))
    return version


def newest_version() -> str:
    """The version that this code brings."""
    return max(_known_versions())


def _known_versions() -> set[str]:
    """Each revision is one SQL file, named by its version: 0001_ledger.sql."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.sql")}
