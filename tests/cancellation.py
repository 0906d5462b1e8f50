"""A batch cancellation step by step, and what its customers look like before it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from ledger import profile, program_of, record
from loyalty.definitions.balance import balance_catalog
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.decide_run import decide_run
from loyalty.services.journey_runs import RunTotals

QUICK = {"lock_minutes": 0.5, "lock_wait_minutes": 0.05, "deactivation_wait_minutes": 0.05, "margin_minutes": 0.1}
PROMOTIONS = [
    {"name": "coffee", "title": "A coffee", "required_points": 50},
    {"name": "mug", "title": "A mug", "required_points": 120},
]
LONG_AGO = timedelta(days=90)


def program_with(**cancellation: object) -> Program:
    """A program with two promotions whose cancellation waits for seconds."""
    return program_of(promotions=PROMOTIONS, cancellation=QUICK | cancellation, batch_size=3)


def now() -> datetime:
    return datetime.now(UTC)


def customer(connection: Connection, name: str, points: int, *, recent: int = 0, country: str | None = None) -> int:
    """A customer with points earned long ago, and some just now."""
    who = profile(connection, name)
    if country:
        connection.execute(
            text(
                "UPDATE loyalty.profile SET attributes = jsonb_build_object('country', CAST(:c AS text)) "
                "WHERE profile_id = :p"
            ),
            {"c": country, "p": who},
        )
    if points:
        record(connection, who, "points.loyalty", now() - LONG_AGO, points)
    if recent:
        record(connection, who, "points.loyalty", now() - timedelta(days=2), recent)
    return who


def activate(connection: Connection, name: str, promotion: str) -> UUID:
    """The customer activates the promotion; the key of the activation."""
    return connection.execute(
        text("SELECT (loyalty.activate_promotion(:c, :p)).activation"), {"c": name, "p": promotion}
    ).scalar_one()


def start(
    connection: Connection, program: Program, *, key: str | None = None, decision: str = "approved", **asked: Any
) -> int:
    """A run that is frozen, approved, and cut into chunks."""
    run = journey.settings_of(program, **asked)
    own, catalog = journey.catalog_of_run(balance_catalog, program, run)
    run_id = journey.snapshot(connection, own, catalog, run, run_key=key or str(uuid4()))
    with connection.begin():
        decide_run(connection, run_id, decision, decided_by="tester")  # type: ignore[arg-type]
    journey.cut(connection, run_id, size=run.chunk_size)
    return run_id


def chunks(connection: Connection, run_id: int) -> list[int]:
    return journey.cut(connection, run_id, size=1)


def cancel(connection: Connection, program: Program, **asked: Any) -> RunTotals:
    """A whole run."""
    run_id = start(connection, program, **asked)
    for number in chunks(connection, run_id):
        journey.cancel_chunk(connection, run_id, number, size=program.batch_size)
    return journey.finish(connection, run_id)


def members(connection: Connection, run_id: int) -> dict[str, Any]:
    """Each member of the run by customer."""
    with connection.begin():
        rows = connection.execute(
            text(
                "SELECT customer_id, m.* FROM loyalty.journey_member m JOIN loyalty.profile USING (profile_id) "
                "WHERE run_id = :r"
            ),
            {"r": run_id},
        ).all()
    return {row.customer_id: row for row in rows}


def points_by_customer(rows: dict[str, Any], field: str = "points") -> dict[str, Any]:
    return {name: getattr(row, field) for name, row in rows.items()}
