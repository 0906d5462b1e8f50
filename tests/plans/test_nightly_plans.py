"""What runs every night costs what falls due, not what the program holds."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, select, text

from ledger import program_of
from loyalty.compile import compile_expression, compile_segment
from loyalty.compile.plan import Explain
from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.catalog import Catalog
from loyalty.model.expressions import attribute
from loyalty.model.segments import Condition, Segment, Tagged, Unsettled, happened
from loyalty.services.apply_program import apply_program
from loyalty.store.database import transaction
from loyalty.store.tables import account, profile

PROFILES, UNSETTLED, EVENTS_EACH = 20_000, 100, 6
AS_OF = datetime(2026, 7, 2, tzinfo=UTC)
PROGRAM = program_of("UTC")
CATALOG = balance_catalog(PROGRAM)
UNSETTLED_PROFILES = select(account.c.profile_id).where(account.c.settle_on <= AS_OF.date())


@pytest.fixture(scope="module")
def ledger(module_database: Engine) -> Iterator[Connection]:
    """Every account will have to be settled some day, and a few by now."""
    with transaction(module_database) as connection:
        apply_program(connection, PROGRAM)
        connection.execute(PROFILES_MADE, {"count": PROFILES})
        connection.execute(EVENTS_MADE, {"each": EVENTS_EACH})
        connection.execute(text("UPDATE loyalty.account SET settle_on = '2027-01-01'"))
        connection.execute(DUE_NOW, {"step": PROFILES // UNSETTLED})
    with module_database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) loyalty.event, loyalty.account, loyalty.profile"))
        yield connection


PROFILES_MADE = text(
    "INSERT INTO loyalty.profile (customer_id, tags) "
    "SELECT n, CASE WHEN n % 1000 = 0 THEN ARRAY['vip'] ELSE '{}' END FROM generate_series(1, :count) AS n"
)
EVENTS_MADE = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params) "
    "SELECT profile_id, gen_random_uuid(), 'points.loyalty', timestamptz '2025-12-30 12:00Z' + n * interval '1 day', "
    "10, jsonb_build_object('points', 10) FROM loyalty.profile CROSS JOIN generate_series(1, :each) AS n"
)
DUE_NOW = text("UPDATE loyalty.account SET settle_on = '2026-07-02' WHERE profile_id % :step = 0")


def plan(connection: Connection, statement: Select[Any]) -> str:
    return "\n".join(connection.scalars(Explain(statement.params(as_of=AS_OF))))


def test_the_default_segment_reads_the_index_of_midnights_alone(ledger: Connection) -> None:
    segment = compile_segment(CATALOG, PROGRAM, CATALOG.segment("points_to_expire"))
    found = plan(ledger, segment)
    assert "account_settle_on" in found
    assert "Seq Scan on account" not in found
    assert "event" not in found
    assert len(ledger.scalars(segment, {"as_of": AS_OF}).all()) == UNSETTLED


@pytest.mark.parametrize("name", ["points_to_expire", "points_to_cancel", "current_balance"])
def test_the_amounts_of_the_unsettled_are_looked_up_not_scanned(ledger: Connection, name: str) -> None:
    amounts = compile_expression(CATALOG, PROGRAM, CATALOG.value(name), profiles=UNSETTLED_PROFILES)
    found = plan(ledger, amounts)
    assert "account_settle_on" in found
    assert "Seq Scan on event" not in found
    assert re.search(r"Index Cond: \(+profile_id = account.profile_id", found)
    values = ledger.execute(amounts, {"as_of": AS_OF}).all()
    assert len(values) == UNSETTLED


@pytest.mark.parametrize(
    "where",
    [
        Unsettled() & (CATALOG.value("points_to_expire") > 0),
        Unsettled() & happened("points.loyalty", at_least=2),
        (CATALOG.value("points_to_expire") > 0) & ~happened("points.cancel") & Unsettled(),
        Unsettled() & (attribute("age") > 18) & Tagged(tag="vip"),
    ],
    ids=lambda where: where.describe(),
)
def test_a_conjunction_with_unsettled_reads_the_events_of_the_unsettled_only(
    ledger: Connection, where: Condition
) -> None:
    segment = Segment(name="asked", where=where)
    found = plan(ledger, compile_segment(Catalog([*CATALOG.definitions, segment]), PROGRAM, segment))
    assert "account_settle_on" in found
    assert "Seq Scan on event" not in found
    assert "Seq Scan on profile" not in found


def test_a_segment_among_a_few_reads_their_events_only(ledger: Connection) -> None:
    catalog = load_catalog(PROGRAM)
    few = select(profile.c.profile_id).where(profile.c.profile_id.in_(range(1, 100)))
    found = plan(ledger, compile_segment(catalog, PROGRAM, catalog.segment("points_to_cancel"), profiles=few))
    assert "Seq Scan on event" not in found
    assert "Group Key" not in found


def test_the_seeds_own_segment_scans_events_once_and_looks_up_whom_it_finds(ledger: Connection) -> None:
    segment = compile_segment(CATALOG, PROGRAM, CATALOG.segment("seed_points_to_expire"))
    found = plan(ledger, segment)
    assert found.startswith("Nested Loop")
    assert "make_interval" not in found, "the bounds of a period are computed once, while planning"
    assert "Group Key: e.profile_id" in found
    assert found.count("Seq Scan on event_0 ") == 1
    assert len(ledger.scalars(segment, {"as_of": AS_OF}).all()) == PROFILES
