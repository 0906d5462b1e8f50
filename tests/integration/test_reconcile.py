"""Every invariant is checked of everybody, in slices, over one connection or several at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ledger import profile, program_of, record, settle
from loyalty.services import reconcile as service
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import SHOWN, broken, reconcile, reconcile_side_by_side
from loyalty.store.database import transaction
from loyalty.store.queries import query

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CUSTOMERS = SHOWN + 5
RULE = "8_expiry_follows_the_rule"


def expire_everybody(database: Engine) -> int:
    """As many customers lose 100 points on one night; returns the number of its run."""
    with database.connect() as connection:
        with connection.begin():
            apply_program(connection, program_of())
            for n in range(CUSTOMERS):
                record(connection, profile(connection, f"customer {n}"), "points.loyalty", NOON, 100)
        return settle(connection, program_of(), NOON.date() + timedelta(days=200)).run_id


def change_expiries(database: Engine) -> None:
    """Behind the ledger's back, each has taken another amount."""
    with transaction(database) as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE loyalty.event SET points = -99 WHERE action = 'points.expire'"))


@pytest.mark.parametrize("slice_size", [1, 4, 1_000])
@pytest.mark.parametrize("few_slices", [0, 1_000], ids=["part by part", "all at once"])
@pytest.mark.parametrize("of_the_run", [True, False])
def test_slices_and_parts_miss_nobody_and_count_nobody_twice(
    database: Engine, monkeypatch: pytest.MonkeyPatch, slice_size: int, few_slices: int, of_the_run: bool
) -> None:
    monkeypatch.setattr(service, "SLICE", slice_size)
    monkeypatch.setattr(service, "FEW_SLICES", few_slices)
    night = expire_everybody(database)
    run_id = night if of_the_run else None
    assert broken(reconcile_side_by_side(database, run_id)) == []
    change_expiries(database)
    findings = reconcile_side_by_side(database, run_id)
    with transaction(database) as connection:
        assert findings == reconcile(connection, run_id)
    by_rule = next(finding for finding in findings if finding.invariant == RULE)
    assert by_rule.count == CUSTOMERS
    assert len({row["customer_id"] for row in by_rule.rows}) == SHOWN


def test_every_profile_is_in_the_part_in_which_its_events_are(database: Engine) -> None:
    expire_everybody(database)
    with transaction(database) as connection:
        parts = connection.scalar(query("part_count"))
        lying = text("""
            SELECT DISTINCT profile_id, substring(tableoid::regclass::text FROM '[0-9]+$')::integer FROM loyalty.event
        """)
        said = text("""
            SELECT profile_id, part FROM loyalty.profile CROSS JOIN generate_series(0, :parts - 1) AS part
            WHERE loyalty.in_part(profile_id, part)
        """)
        assert set(connection.execute(lying)) == set(connection.execute(said, {"parts": parts}))
        assert len({part for _, part in connection.execute(lying)}) > 1
        assert connection.scalar(text("SELECT count(*) FROM loyalty.profile WHERE loyalty.in_part(profile_id, NULL)"))


@pytest.mark.parametrize("few_slices", [0, 1_000], ids=["part by part", "all at once"])
def test_the_check_of_a_run_is_about_its_members_alone(
    database: Engine, monkeypatch: pytest.MonkeyPatch, few_slices: int
) -> None:
    monkeypatch.setattr(service, "FEW_SLICES", few_slices)
    run_id = expire_everybody(database)
    with transaction(database) as connection:
        stranger = profile(connection, "stranger")
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE loyalty.account SET balance = 7 WHERE profile_id = :id"), {"id": stranger})
    assert broken(reconcile_side_by_side(database, run_id)) == []
    (fault,) = broken(reconcile_side_by_side(database))
    assert (fault.invariant, [row["customer_id"] for row in fault.rows]) == ("1_balance_is_the_sum", ["stranger"])


def test_a_check_that_fails_is_no_check_that_holds(database: Engine) -> None:
    expire_everybody(database)
    with transaction(database) as connection:
        connection.execute(text("ALTER TABLE loyalty.program RENAME COLUMN allow_debt TO forgotten"))
    with pytest.raises(DBAPIError, match=r"allow_debt|canceling statement"):
        reconcile_side_by_side(database)
