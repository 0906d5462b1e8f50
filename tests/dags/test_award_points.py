"""The DAG award_points, run whole against a real ledger."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger import balances, profile, record
from loyalty.definitions.load_program import load_program
from loyalty.services.apply_program import apply_program

MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)
Run = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("airflow_connection")


def buy(database: Engine, amounts: dict[str, float]) -> None:
    with database.begin() as connection:
        for name, amount in amounts.items():
            record(connection, profile(connection, name), "transaction.charge", MARCH, params={"$totalAmount": amount})


def test_purchases_become_points_once(run: Run, database: Engine, program_file: Path) -> None:
    with database.begin() as connection:
        apply_program(connection, load_program(program_file))
    buy(database, {"anna": 12.99, "boris": 7, "celia": 100.5})
    first = run("award_points")
    assert first.state == "success"
    assert first.pushed["award_points"] | {"award_count": 3, "points": 119} == first.pushed["award_points"]
    buy(database, {"dora": 3})
    second = run("award_points", run_id="manual__two")
    assert second.pushed["award_points"] | {"award_count": 1, "points": 3} == second.pushed["award_points"]
    with database.begin() as connection:
        assert balances(connection) == {"anna": 12, "boris": 7, "celia": 100, "dora": 3}
