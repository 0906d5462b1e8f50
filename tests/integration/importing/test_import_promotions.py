"""Activations in files: they become promotions that customers hold, and what cannot be is rejected row by row."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from cancellation import chunks, customer, now, program_with, start
from importing import load, rejected
from ledger import balances, wipe
from loyalty.services import batch_cancellation as journey
from loyalty.services.apply_program import apply_program
from loyalty.services.import_events import ImportOutcome
from loyalty.store.database import transaction

HEADER = "event_id,customer_id,action,occurred_at,promotion,promotionRequireRedeemedPoints,returnedPoints,activation"


@pytest.fixture
def ledger(module_database: Engine) -> Engine:
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program_with())
        customer(connection, "anna", 300)
    return module_database


def load_now(ledger: Engine, path: Path) -> ImportOutcome:
    return load(ledger, path, now=now())


def activation(name: str, points: int = 50) -> str:
    return f"{name},anna,client.activatePromotion,2026-05-01T10:00:00Z,coffee,{points},,"


def deactivation(name: str, of: str, points: int = 50) -> str:
    return f"{name},anna,client.deactivatePromotion,2026-05-02T10:00:00Z,,,{points},{of}"


def redemption(name: str, of: str) -> str:
    return f"{name},anna,client.redeemPromotion,2026-05-02T11:00:00Z,,,,{of}"


def file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "activations.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def states(ledger: Engine) -> list[Any]:
    with ledger.begin() as connection:
        return list(
            connection.scalars(
                text("SELECT state FROM loyalty.promotion_activation ORDER BY ended_at NULLS FIRST, state")
            )
        )


def test_activations_of_a_file_are_held_redeemed_and_deactivated(ledger: Engine, tmp_path: Path) -> None:
    rows = [activation("a"), activation("b"), activation("c"), deactivation("d", "b"), redemption("e", "c")]
    assert load_now(ledger, file(tmp_path, *rows)).stored == 5
    assert states(ledger) == ["active", "deactivated", "redeemed"]
    with ledger.begin() as connection:
        assert balances(connection) == {"anna": 200}


def test_the_same_file_again_changes_nothing(ledger: Engine, tmp_path: Path) -> None:
    path = file(tmp_path, activation("a"), deactivation("d", "a"))
    load_now(ledger, path)
    again = load_now(ledger, path)
    assert (again.stored, again.already_there, again.rejected) == (0, 2, 0)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([redemption("r", "a"), deactivation("d", "a")], 'the promotion "coffee" of customer "anna" is redeemed'),
        ([deactivation("d", "a", points=70)], "returnedPoints is 70: the promotion cost 50"),
        ([deactivation("d", "nobody")], "is the event_id of no event of this customer"),
        ([deactivation("d", "earning")], "is a points.loyalty: only an activation can be redeemed or deactivated"),
    ],
)
def test_what_cannot_be_is_rejected(ledger: Engine, tmp_path: Path, rows: list[str], said: str) -> None:
    earning = "earning,anna,points.loyalty,2026-04-01T10:00:00Z,,,,"
    load_now(ledger, file(tmp_path, activation("a")))
    (tmp_path / "earning.csv").write_text(f"event_id,customer_id,action,occurred_at,points\n{earning[:-4]},5\n")
    load_now(ledger, tmp_path / "earning.csv")
    for row in rows[:-1]:
        load_now(ledger, file(tmp_path, row))
    outcome = load_now(ledger, file(tmp_path, rows[-1]))
    assert said in rejected(outcome)[2]


def test_one_activation_cannot_end_twice_in_a_file(ledger: Engine, tmp_path: Path) -> None:
    outcome = load_now(ledger, file(tmp_path, activation("a"), deactivation("d", "a"), deactivation("e", "a")))
    assert rejected(outcome) == {4: "another row ends the same activation, too"}
    with ledger.begin() as connection:
        assert balances(connection) == {"anna": 300}


def test_what_a_locked_customer_starts_is_rejected_and_a_purchase_is_not(ledger: Engine, tmp_path: Path) -> None:
    with ledger.connect() as connection:
        lock_everybody(connection)
    outcome = load_now(ledger, file(tmp_path, activation("a")))
    assert 'the balance of customer "anna" is locked until' in rejected(outcome)[2]
    assert "tell it again after that" in rejected(outcome)[2]
    path = tmp_path / "earned.csv"
    path.write_text(f"customer_id,action,occurred_at,points\nanna,points.loyalty,{now() - timedelta(days=1)},5\n")
    assert load_now(ledger, path).stored == 1


def lock_everybody(connection: Connection) -> None:
    run_id = start(connection, program_with())
    for number in chunks(connection, run_id):
        journey.lock(connection, run_id, number, size=10)
