"""Real Airflow cancels the points of thousands (of 20,000 with --all): every path is taken, then all is given back."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from e2e import crowd
from e2e.nights import (
    DAG,
    Night,
    cancel,
    everybody_ended_as_they_must,
    everybody_heard_how_many,
    first_round,
    start,
    tasks,
)
from effort import thorough
from loyalty.local.engine import Manners, OutsideEngine
from loyalty.store.database import transaction

UNDO = "undo_journey"
CUSTOMERS = thorough(21_000, 4_200)
CHUNKS = thorough(4, 2)
CHUNK = CUSTOMERS // CHUNKS - 25
PROGRAM = crowd.crowd_program(1000)


@pytest.fixture(scope="module")
def night(airflow: Any) -> Iterator[Night]:
    """A first round that is over, with the world outside that answers for everybody."""
    with first_round(airflow, PROGRAM, CUSTOMERS, CHUNK) as night:
        yield night


def newest_books(airflow: Any) -> crowd.Books:
    """What the newest run has left behind."""
    with transaction(airflow.ledger) as connection:
        run_id = crowd.newest_run(connection)
    return crowd.books(airflow.ledger, run_id)


def undo(airflow: Any, run_id: int) -> None:
    start(airflow, UNDO)
    dag_run = airflow.api.trigger(UNDO, conf={"run": run_id})
    assert airflow.wait(UNDO, dag_run, 300).state == "success"


def decision(airflow: Any, run_id: int) -> tuple[Any, ...]:
    asked = text(
        "SELECT decision, decided_by, decided_at BETWEEN started_at AND finished_at FROM loyalty.journey_run "
        "WHERE run_id = :run"
    )
    with transaction(airflow.ledger) as connection:
        return tuple(connection.execute(asked, {"run": run_id}).one())


def after_both_rounds(night: Night) -> dict[str, crowd.Fate]:
    """How each member ends in the round that it ends in for good."""
    first = crowd.fates(night.told, night.as_of)
    return first | taken_up(night, first)


def taken_up(night: Night, first: dict[str, crowd.Fate]) -> dict[str, crowd.Fate]:
    again = [who for who, fate in first.items() if fate.reason in crowd.MAY_COME_AGAIN]
    return {who: crowd.completed(night.told[who], night.as_of) for who in again}


def test_everybody_loses_what_plain_arithmetic_says_or_fails_for_a_reason(airflow: Any, night: Night) -> None:
    expected = everybody_ended_as_they_must(airflow, night)
    assert len(expected) >= CUSTOMERS * 20 // 21
    assert {fate.reason for fate in expected.values()} == {None, *crowd.FATES.values()}


def test_everybody_who_lost_points_and_consents_hears_how_many_once(airflow: Any, night: Night) -> None:
    everybody_heard_how_many(airflow, night)


def test_whoever_decided_is_kept_with_the_run(airflow: Any, night: Night) -> None:
    assert decision(airflow, night.run_id) == ("approved", "admin", True)


def test_every_task_of_every_chunk_went_right_the_first_time(airflow: Any, night: Night) -> None:
    done = tasks(airflow, night.dag_run)
    assert {one["state"] for one in done} == {"success"}
    assert {one["map_index"] for one in done if one["task_id"] == "cancel_chunk.deduct_points"} == set(range(CHUNKS))
    assert {one["try_number"] for one in done} <= {0, 1}  # 0: nothing but its trigger ran


def test_a_second_round_finishes_the_rest(airflow: Any, night: Night) -> None:
    with OutsideEngine(airflow.ledger, Manners()):
        cancel(airflow, {"spare_days": crowd.SPARE_DAYS, "second_round_of": night.run_id}, "Approve")
    found = newest_books(airflow)
    assert found.members == taken_up(night, crowd.fates(night.told, night.as_of))
    assert found.balances == crowd.balances_after(night.told, after_both_rounds(night))
    assert {len(times) for times in found.cancelled.values()} == {1}


@pytest.mark.exhaustive
def test_an_undo_gives_back_what_its_run_took_and_nothing_else(airflow: Any, night: Night) -> None:
    first, before = crowd.fates(night.told, night.as_of), newest_books(airflow).balances
    undo(airflow, night.run_id)
    with transaction(airflow.ledger) as connection:
        restored, after = crowd.moved(connection, "points.restore"), crowd.holdings(connection)
    assert restored == {who: [fate.points] for who, fate in first.items() if fate.points}
    assert after == {who: balance + sum(restored.get(who, [])) for who, balance in before.items()}
    undo(airflow, night.run_id)
    assert newest_books(airflow).balances == after


@pytest.mark.exhaustive
def test_undoing_both_rounds_leaves_everybody_with_what_they_had_and_what_promotions_returned(
    airflow: Any, night: Night
) -> None:
    with transaction(airflow.ledger) as connection:
        second = connection.scalar(
            text("SELECT run_id FROM loyalty.journey_run WHERE journey = :dag AND audience_of = :first"),
            {"dag": DAG, "first": night.run_id},
        )
    undo(airflow, second)
    nothing_lost = {who: fate._replace(points=0) for who, fate in after_both_rounds(night).items()}
    assert newest_books(airflow).balances == crowd.balances_after(night.told, nothing_lost)
