"""What each role of the database may do, against a matrix written down here: every role, every table, every verb."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cancellation import PROMOTIONS, QUICK, cancel
from importing import import_within, lines
from ledger import catalog_of, program_of, settle
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import award_points
from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.services.mail_order import order_of
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.send_mail import send_mail
from loyalty.services.take_events import take_events
from loyalty.services.undo_journey import undo_journey
from loyalty.store.database import open_engine
from mailing import mail_of, sink
from serving import event, key

ROLES = ("loyalty_journeys", "loyalty_ingest", "loyalty_reader")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
# For each table what the journeys may do beside SELECT; the reader may SELECT it, and the ingest nothing at all.
JOURNEYS = {
    "program": {"UPDATE"},
    "action": {"INSERT", "UPDATE", "DELETE"},
    "profile": {"INSERT", "UPDATE"},
    "account": {"INSERT", "UPDATE"},
    "event": {"INSERT"},
    **{f"event_{n}": set[str]() for n in range(16)},
    "promotion": {"INSERT", "UPDATE"},
    "promotion_activation": {"INSERT", "UPDATE"},
    "journey_run": {"INSERT", "UPDATE"},
    "journey_chunk": {"INSERT", "UPDATE"},
    "journey_member": {"INSERT", "UPDATE"},
    "journey_progress": set[str](),
    "email": {"INSERT", "UPDATE"},
    "email_progress": set[str](),
    "expiry_calendar": set[str](),
    "reminder": {"INSERT"},
    "email_suppression": {"INSERT"},
    "subscriber": {"INSERT", "UPDATE"},
    "delivery": {"INSERT", "UPDATE", "DELETE"},
    "event_source": {"INSERT", "UPDATE"},
    "sync_rejection": {"INSERT", "UPDATE", "DELETE"},
    "points_flow": set[str](),
    **{table: {"INSERT"} for table in ("daily_close", "daily_close_ageing", "daily_close_cohort")},
    "booked_entry": set[str](),
    "points_entry": set[str](),
    "lot": set[str](),
    "lock_request": set[str](),
    "deactivation_request": set[str](),
}
FORBIDDEN = {"42501", "42809", "55000"}  # no privilege; not for a view
SECRET = {"api_key", "api_key_use"}
FORGOTTEN = "forgotten_customer"  # the journeys look, so that nobody comes back by an old event
OPEN = {"schema_version"}
DOORS = {"admit", "take_events", "read_profile", "read_promotions", "change_promotion"}
# What runs as its owner and writes: functions, and triggers, which nobody can call anyhow.
JOURNEYS_ALONE = {"delete_old_events", "fold_points", "note_members", "measure_members", "measure_events"}
JOURNEYS_ALONE |= {"count_calendar", "count_points", "recount_points", "count_members", "count_mail", "count_mail_owed"}
OWNERS_ALONE = {"authenticate", "authorize", "may_write", "forget_customer"}


@pytest.fixture(scope="module")
def ledger(module_database: Engine) -> Engine:
    with module_database.begin() as connection:
        create_roles(connection)
        create_roles(connection)
        assert grant_roles(connection) == []
        grant_roles(connection)
    return module_database


@pytest.fixture
def connection(ledger: Engine) -> Iterator[Connection]:
    with ledger.connect() as connection:
        yield connection


def may(role: str, table: str, verb: str) -> bool:
    if table == FORGOTTEN:
        return verb == "SELECT" and role == "loyalty_journeys"
    if table in OPEN or verb == "SELECT":
        return verb == "SELECT" and (table in OPEN or (role != "loyalty_ingest" and table not in SECRET))
    return role == "loyalty_journeys" and verb in JOURNEYS.get(table, ())


def test_every_role_every_table_every_verb(connection: Connection) -> None:
    ours = "relnamespace = 'loyalty'::regnamespace AND relkind IN ('r', 'p', 'v')"
    tables = set(connection.scalars(text(f"SELECT relname FROM pg_class WHERE {ours}")))
    assert tables == JOURNEYS.keys() | SECRET | OPEN | {FORGOTTEN}, (
        "a table that the matrix does not know, or the other way round"
    )
    for role in ROLES:
        connection.execute(text(f"SET ROLE {role}"))
        for table in sorted(tables):
            tried = {verb: _tries(connection, table, verb) for verb in VERBS}
            assert tried == {verb: may(role, table, verb) for verb in VERBS}, (role, table)
        connection.rollback()


def _tries(connection: Connection, table: str, verb: str) -> bool:
    """Whether the statement is let through, by being tried; it finds no row."""
    column = connection.dialect.identifier_preparer.quote(_columns(connection, table))
    statement = {
        "SELECT": f"SELECT {column} FROM loyalty.{table} WHERE false",
        "INSERT": f"INSERT INTO loyalty.{table} ({column}) SELECT NULL WHERE false",
        "UPDATE": f"UPDATE loyalty.{table} SET {column} = NULL WHERE false",
        "DELETE": f"DELETE FROM loyalty.{table} WHERE false",
        "TRUNCATE": f"TRUNCATE loyalty.{table}",
    }[verb]
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError as error:
        if error.orig.sqlstate in FORBIDDEN:  # type: ignore[union-attr]
            return False
    return True


def _columns(connection: Connection, table: str) -> str:
    """A column that can be written."""
    return str(
        connection.scalar(
            text(
                "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 "
                "AND attidentity = '' ORDER BY attnum LIMIT 1"
            ),
            {"name": f"loyalty.{table}"},
        )
    )


def test_the_ingest_calls_doors_alone_and_nobody_else_does(connection: Connection) -> None:
    functions = connection.execute(
        text("SELECT proname, oid FROM pg_proc WHERE pronamespace = 'loyalty'::regnamespace")
    ).all()
    assert {row.proname for row in functions} > DOORS | OWNERS_ALONE
    for role in (*ROLES, "public"):
        can = {row.proname for row in functions if _can_call(connection, role, row.oid)}
        rest = {row.proname for row in functions} - DOORS - OWNERS_ALONE
        expected = {"loyalty_journeys": rest, "loyalty_ingest": DOORS, "loyalty_reader": rest - JOURNEYS_ALONE}
        assert can == expected.get(role, set()), role


def _can_call(connection: Connection, role: str, oid: int) -> bool:
    return bool(
        connection.scalar(text("SELECT has_function_privilege(:role, :oid, 'EXECUTE')"), {"role": role, "oid": oid})
    )


@pytest.mark.parametrize("role", ROLES)
def test_nobody_can_change_what_is_there(connection: Connection, role: str) -> None:
    connection.execute(text(f"SET ROLE {role}"))
    for statement in (
        "CREATE TABLE loyalty.x ()",
        "DROP TABLE loyalty.event",
        "ALTER TABLE loyalty.event DISABLE TRIGGER ALL",
        "CREATE FUNCTION loyalty.x() RETURNS int LANGUAGE sql RETURN 1",
        "SET session_replication_role = replica",
        "CREATE ROLE x",
    ):
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"), connection.begin_nested():
            connection.execute(text(statement))


def test_whoever_stole_the_apis_connection_can_neither_mint_nor_look(ledger: Engine) -> None:
    with ledger.begin() as connection:
        apply_program(connection, program_of())
    with ledger.connect() as connection:
        connection.execute(text("SET ROLE loyalty_ingest"))
        for statement in (
            "CREATE TEMP TABLE intake_row ()",
            "INSERT INTO loyalty.event (profile_id, key, action) VALUES (1, gen_random_uuid(), 'x')",
            "SELECT * FROM loyalty.api_key",
            "SELECT loyalty.activate_promotion('17', 'coffee')",
            "SELECT loyalty.take_intake()",
            "SELECT loyalty.authenticate('x')",
        ):
            with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
                connection.execute(text(statement))
        with pytest.raises(DBAPIError, match="the key is unknown"), connection.begin_nested():
            connection.execute(text("SELECT loyalty.read_profile('lk_x_y', '17')"))


def test_with_a_key_the_ingest_tells_events(ledger: Engine) -> None:
    token, customer = key(ledger), uuid4().hex
    with ledger.begin() as connection:
        connection.execute(text("SET LOCAL ROLE loyalty_ingest"))
        (taken,) = take_events(connection, token, [json.dumps(event(customer))])
    assert taken.outcome == "stored"


def test_the_journeys_can_do_their_work(database: Engine, tmp_path: Path) -> None:
    """An import, awards, an expiry, a cancellation, its undo and its mail, by a role that owns nothing."""
    with database.begin() as connection:
        create_roles(connection)
        grant_roles(connection)
        connection.execute(text("ALTER ROLE loyalty_journeys LOGIN PASSWORD 'of the tests'"))
    url = database.url.set(username="loyalty_journeys", password="of the tests")
    program = program_of(
        promotions=PROMOTIONS,
        cancellation=QUICK,
        mail=mail_of(),
        earning_rules=[
            {"name": "buy", "action": "transaction.charge", "earns": "points.loyalty", "points_per_event": 300}
        ],
    )
    engine = open_engine(url)
    with engine.connect() as connection:
        with connection.begin():
            apply_program(connection, program)
            path = lines(tmp_path, *PURCHASES, header="customer_id,action,occurred_at")
            imported = import_within(connection, path, now=datetime.now(UTC))
        assert imported.stored == 3
        assert award_points(connection, program).points == 900
        with connection.begin():
            connection.execute(text("UPDATE loyalty.profile SET attributes = jsonb_build_object(" + CONSENT + ")"))
            connection.execute(text("SELECT loyalty.activate_promotion('b', 'mug')"))
        assert settle(connection, program, date(2024, 12, 15)).points == 300
        assert cancel(connection, program).points == 600
        with sink() as (inbox, server):
            address, catalog = url.render_as_string(hide_password=False), catalog_of(program.model_dump_json())
            send_mail(connection, order_of(address, program, catalog, None, server))
        assert len(inbox.messages) == 3
        undo_journey(connection, 2, run_key="undo", size=3)
        assert connection.scalar(text("SELECT sum(balance) FROM loyalty.account")) == 600
        connection.commit()
        assert broken(reconcile(connection)) == []
    engine.dispose()


PURCHASES = [
    "a,transaction.charge,2024-05-01T12:00:00Z",
    "b,transaction.charge,2026-05-01T12:00:00Z",
    "c,transaction.charge,2026-05-01T12:00:00Z",
]
CONSENT = "'email', customer_id || '@example.org', 'mail_consent', true"
