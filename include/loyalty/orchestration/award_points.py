"""The earning rules as an operator."""

from dataclasses import asdict

from airflow.sdk import BaseOperator, Context

from loyalty.orchestration.ledger import ledger
from loyalty.services.award_points import Awarded, award_points


class AwardPoints(BaseOperator):
    """No event waits for the earning rules; pushes what was awarded, reversed and could not be done just now."""

    def execute(self, context: Context) -> dict[str, int]:
        with ledger() as ours:
            return asdict(award_points(ours.connection, ours.program, on_batch=self._tell))

    def _tell(self, batch: Awarded) -> None:
        self.log.info(
            f"looked at {batch.profile_count:,} customers: {batch.award_count:,} awards of {batch.points:,} points, "
            f"{batch.reversal_count:,} reversals of {batch.reversed:,} points"
        )
        if batch.unreadable or batch.not_taken:
            self.log.warning(
                f"{batch.unreadable:,} amounts are no number; {batch.not_taken:,} points of refunds were gone already"
            )
