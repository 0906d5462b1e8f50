"""The schema: the migrations make what is declared, everything is explained, and other versions are refused."""

from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.engine import URL

from databases import admin
from loyalty.errors import LoyaltyError
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import current_version, newest_version, require_current, upgrade
from loyalty.store.tables import metadata
from loyalty.store.tables.common import Snapshot, TransactionId


def test_migrations_make_the_declared_tables(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ischema_names, "xid8", TransactionId)
    monkeypatch.setitem(ischema_names, "pg_snapshot", Snapshot)
    options = {
        "include_schemas": True,
        "version_table": "schema_version",
        "version_table_schema": "loyalty",
        "compare_type": True,
        "include_object": lambda _o, name, kind, *_: not (kind == "table" and name.startswith("event_")),
    }
    with transaction(database) as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    # Comments are written once, in the migration; the next test asks for them.
    assert [change for change in found if "comment" not in str(change[0])] == []


def test_every_table_and_column_is_explained(database: Engine) -> None:
    silent = text(
        "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c "
        "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = 'loyalty'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND c.relname <> 'schema_version' "
        "AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)"
    )
    with transaction(database) as connection:
        assert connection.scalars(silent).all() == []


def test_upgrading_again_changes_nothing(database: Engine) -> None:
    with transaction(database) as connection:
        upgrade(connection)
        require_current(connection)


def test_two_may_upgrade_at_once(server: URL) -> None:
    with admin(server).connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS loyalty_two"))
        connection.execute(text("CREATE DATABASE loyalty_two"))
    engine = open_engine(server.set(database="loyalty_two"))

    def work() -> None:
        with transaction(engine) as connection:
            upgrade(connection)

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(engine) as connection:
        assert current_version(connection) == newest_version()
    engine.dispose()
    with admin(server).connect() as connection:
        connection.execute(text("DROP DATABASE loyalty_two"))


@pytest.mark.parametrize(
    ("version", "said"),
    [("0000", "too new for this code"), ("9999", "too new for this code"), (None, "no loyalty schema")],
)
def test_another_schema_is_refused(database: Engine, version: str | None, said: str) -> None:
    with transaction(database) as connection:
        if version:
            connection.execute(text("UPDATE loyalty.schema_version SET version_num = :v"), {"v": version})
        else:
            connection.execute(text("DELETE FROM loyalty.schema_version"))
        with pytest.raises(LoyaltyError, match=said):
            require_current(connection)


def test_an_older_schema_is_refused(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loyalty.store.schema.newest_version", lambda: "0099")
    with transaction(database) as connection, pytest.raises(LoyaltyError, match=r"too old .* run `loyalty db upgrade`"):
        require_current(connection)
