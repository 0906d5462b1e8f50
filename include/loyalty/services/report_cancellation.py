"""What a run of the batch cancellation did, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.list_failures import failures_by_reason
from loyalty.store.queries import Row, row

TOTALS = ("run_id", "member_count", "failed_count", "points", "returned")


@dataclass(frozen=True)
class CancellationReport:
    """The record of the run, and its failed members by reason."""

    run: Row
    failures: Sequence[Row]

    @property
    def totals(self) -> dict[str, int]:
        """Members, those that failed, points taken, points that promotions returned before."""
        return {name: int(self.run[name]) for name in TOTALS}

    def lines(self) -> list[str]:
        """The report as people read it."""
        run = self.run
        completed = run["member_count"] - run["failed_count"]
        decision = f", {run['decision']} by {run['decided_by']}" if run["decision"] else ""
        return [
            f"run {run['run_id']} as of {run['as_of']:%Y-%m-%d %H:%M} UTC: {run['state']}{decision}",
            f"{run['member_count']:,} members: {run['locked_count']:,} locked, {completed:,} completed, "
            f"{run['failed_count']:,} failed",
            f"points of the completed: {run['points_in']:,} when locked, {run['returned']:,} returned by promotions, "
            f"{run['points']:,} cancelled, {run['points_out']:,} left",
            *(
                f"failed: {one['member_count']:,} {one['reason']}"
                + (f" ({one['detail']})" if one["detail"] else "")
                + (", taken up by a second round" if one["second_round"] else "")
                for one in self.failures
            ),
        ]


def report_cancellation(connection: Connection, run_id: int) -> CancellationReport:
    """The numbers of a completed run, read from its record and its members."""
    run = row(connection, "cancel/report", run_id=run_id)
    if run is None or run["state"] != "completed":
        raise LoyaltyError(f"run {run_id} is not completed: only a completed run has totals")
    return CancellationReport(run, failures_by_reason(connection, run_id))
