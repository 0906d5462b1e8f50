"""Whom a run is about, frozen with its amounts, and whom it leaves alone."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from cancellation import (
    PROMOTIONS,
    QUICK,
    cancel,
    chunks,
    customer,
    members,
    now,
    outcome,
    picture,
    points_by_customer,
    start,
)
from ledger import balances, program_of, record
from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.chunks import cut_chunks
from loyalty.services.decide_run import decide_run, end_dry_run
from loyalty.services.freeze_audience import freeze_audience
from loyalty.services.journey_runs import finish_run
from side_by_side import overtaken

SEGMENTS = [{"name": "vip", "title": "VIP", "where": {"type": "tag", "tag": "vip"}}]
RUN = text("SELECT * FROM loyalty.journey_run WHERE run_id = :id")


@pytest.fixture
def program() -> Program:
    return program_of(promotions=PROMOTIONS, cancellation=QUICK, batch_size=3, definitions={"segments": SEGMENTS})


@pytest.fixture
def three(connection: Connection) -> None:
    with connection.begin():
        customer(connection, "anna", 100, country="PL")
        customer(connection, "boris", 200, country="DE")
        customer(connection, "cleo", 300)
        connection.execute(text("UPDATE loyalty.profile SET tags = '{vip}' WHERE customer_id = 'cleo'"))


def freeze(connection: Connection, program: Program, key: str = "one", **asked: Any) -> int:
    run = journey.settings_of(program, **asked)
    own, catalog = journey.catalog_of_run(load_catalog, program, run)
    return freeze_audience(connection, own, catalog, run, run_key=key)


def run_of(connection: Connection, run_id: int) -> Any:
    with connection.begin():
        return connection.execute(RUN, {"id": run_id}).one()


def test_a_run_is_frozen_once_whatever_comes_later(connection: Connection, program: Program, three: None) -> None:
    with connection.begin():
        run_id = freeze(connection, program)
    frozen = picture(connection, "journey_run", "journey_member")
    with connection.begin():
        customer(connection, "dora", 400)
    with connection.begin():
        assert freeze(connection, program) == run_id
    assert picture(connection, "journey_run", "journey_member") == frozen


def test_two_that_freeze_at_once_freeze_one_run(
    module_database: Engine, connection: Connection, program: Program, three: None
) -> None:
    one, other = overtaken(module_database, *[lambda own: freeze(own, program)] * 2)
    assert one == other
    assert points_by_customer(members(connection, one), "approved") == {"anna": 100, "boris": 200, "cleo": 300}


def test_those_left_alone_say_why(connection: Connection, program: Program, three: None) -> None:
    totals = cancel(connection, program, exclude_segment="vip", exclude_countries=["DE", "FR"])
    rows = members(connection, totals.run_id)
    assert {name: (row.state, row.reason, row.detail) for name, row in rows.items()} == {
        "anna": ("completed", None, None),
        "boris": ("failed", "excluded", "country DE"),
        "cleo": ("failed", "excluded", "segment vip"),
    }
    assert rows["boris"].lock_requested_at is None
    assert (totals.points, totals.failed_count) == (100, 2)
    with connection.begin():
        assert balances(connection) == {"anna": 0, "boris": 200, "cleo": 300}


def test_a_run_about_the_past_takes_what_was_there_then(connection: Connection, program: Program) -> None:
    as_of = now() - timedelta(days=60)
    with connection.begin():
        who = customer(connection, "anna", 0)
        record(connection, who, "points.loyalty", as_of - timedelta(days=60), 100)
        record(connection, who, "points.loyalty", as_of - timedelta(days=3), 20)
        record(connection, who, "points.loyalty", as_of, 7)
    totals = cancel(connection, program, as_of=as_of)
    assert totals.points == 100
    run = run_of(connection, totals.run_id)
    assert (run.as_of, run.business_date) == (as_of, as_of.date())
    assert run.frozen_at > as_of


def test_a_run_about_the_future_is_refused(connection: Connection, program: Program, three: None) -> None:
    before = picture(connection)
    with pytest.raises(LoyaltyError, match="lies in the future"), connection.begin():
        freeze(connection, program, as_of=now() + timedelta(minutes=1))
    assert picture(connection) == before


def test_an_empty_run_completes(connection: Connection, program: Program) -> None:
    totals = cancel(connection, program)
    assert (totals.member_count, totals.points) == (0, 0)


def test_a_dry_run_ends_with_its_preview(connection: Connection, program: Program, three: None) -> None:
    with connection.begin():
        run_id = freeze(connection, program)
        end_dry_run(connection, run_id)
        decide_run(connection, run_id, "approved", decided_by="too late")
    run = run_of(connection, run_id)
    assert (run.state, run.decision) == ("previewed", None)


@pytest.mark.parametrize("decision", ["rejected", None])
def test_nothing_happens_without_approval(
    connection: Connection, program: Program, three: None, decision: str | None
) -> None:
    with connection.begin():
        run_id = freeze(connection, program)
        if decision:
            decide_run(connection, run_id, decision, decided_by="tester")
    journey.cut(connection, run_id, size=10)
    before = picture(connection)
    for step in (journey.lock, journey.deduct, journey.release):
        with pytest.raises(LoyaltyError, match="was not approved"):
            step(connection, run_id, 0, size=10)
    assert picture(connection) == before


@pytest.mark.parametrize("at_once", [False, True])
def test_the_first_decision_counts(
    module_database: Engine, connection: Connection, program: Program, at_once: bool
) -> None:
    with connection.begin():
        run_id = freeze(connection, program)
    decisions = [
        lambda own: decide_run(own, run_id, "rejected", decided_by="first"),
        lambda own: decide_run(own, run_id, "approved", decided_by="second"),
    ]
    if at_once:
        overtaken(module_database, *decisions)
    else:
        for decide in decisions:
            with connection.begin():
                decide(connection)
    run = run_of(connection, run_id)
    assert (run.state, run.decision, run.decided_by) == ("rejected", "rejected", "first")


def test_members_are_cut_once_into_chunks(connection: Connection, program: Program, three: None) -> None:
    run_id = start(connection, program, chunk_size=2)
    cut = picture(connection, "journey_chunk")
    with connection.begin():
        assert cut_chunks(connection, run_id, size=1) == [0, 1]
    assert chunks(connection, run_id) == [0, 1]
    assert picture(connection, "journey_chunk") == cut


def test_two_that_cut_at_once_cut_alike(
    module_database: Engine, connection: Connection, program: Program, three: None
) -> None:
    with connection.begin():
        run_id = freeze(connection, program)
    one, other = overtaken(module_database, *[lambda own: cut_chunks(own, run_id, size=2)] * 2)
    assert one == other == [0, 1]


def test_two_that_finish_at_once_finish_alike(
    module_database: Engine, connection: Connection, program: Program, three: None
) -> None:
    totals = cancel(connection, program)
    before = outcome(connection)
    assert overtaken(module_database, *[lambda own: finish_run(own, totals.run_id)] * 2) == (totals, totals)
    assert outcome(connection) == before


def test_a_run_with_members_on_the_way_is_not_finished(connection: Connection, program: Program, three: None) -> None:
    run_id = start(connection, program)
    with pytest.raises(LoyaltyError, match="members on the way"):
        journey.finish(connection, run_id)
