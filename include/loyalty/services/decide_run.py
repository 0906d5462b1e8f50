"""Whether a previewed run may go on."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from loyalty.store.queries import query

Decision = Literal["approved", "rejected", "not needed"]


def decide_run(
    connection: Connection, run_id: int, decision: Decision, *, decided_by: str, decided_at: datetime | None = None
) -> None:
    """The decision is kept with the run, with who made it and when; a rejected run has ended. The first one counts."""
    connection.execute(
        query("cancel/decide_run"),
        {"run_id": run_id, "decision": decision, "decided_by": decided_by, "decided_at": decided_at},
    )


def end_dry_run(connection: Connection, run_id: int) -> None:
    """The run has ended with its preview."""
    connection.execute(query("cancel/end_dry_run"), {"run_id": run_id})
