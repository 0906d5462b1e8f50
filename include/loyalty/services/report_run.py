"""What a finished run did, in numbers."""

from dataclasses import dataclass, fields
from datetime import date

from sqlalchemy import Connection, select

from loyalty.errors import LoyaltyError
from loyalty.services.journey_runs import RunTotals
from loyalty.store.queries import query
from loyalty.store.tables import journey_run


@dataclass(frozen=True)
class Night:
    """What the run wrote for one midnight: to how many customers, and how many points each way."""

    midnight: date
    customers: int
    expired: int
    given_back: int


@dataclass(frozen=True)
class RunReport:
    """The totals of a run, and the midnights it settled, oldest first."""

    totals: RunTotals
    nights: tuple[Night, ...]


def report_run(connection: Connection, run_id: int) -> RunReport:
    """The numbers of a completed run, read from its record and its events."""
    columns = (journey_run.c[field.name] for field in fields(RunTotals))
    completed = select(*columns).where(journey_run.c.run_id == run_id, journey_run.c.state == "completed")
    totals = connection.execute(completed).one_or_none()
    if totals is None:
        raise LoyaltyError(f"run {run_id} is not completed: only a completed run has totals")
    nights = connection.execute(query("points_by_midnight"), {"run_id": run_id})
    return RunReport(RunTotals(*totals), tuple(Night(*night) for night in nights))
