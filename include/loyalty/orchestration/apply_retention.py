"""Retention as an operator."""

from collections import Counter

from airflow.sdk import BaseOperator, Context

from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.retention import retentions
from loyalty.orchestration.days import business_date
from loyalty.orchestration.ledger import ledger
from loyalty.services.apply_retention import apply_retention


class ApplyRetention(BaseOperator):
    """No event is left that was to go by the business date's midnight; pushes how many went, by action."""

    def execute(self, context: Context) -> dict[str, int]:
        with ledger() as ours:
            kept = retentions(ours.program, load_catalog(ours.program))
            day, size = business_date(context), ours.program.batch_size
            return dict(apply_retention(ours.connection, kept, day, size=size, on_batch=self._tell))

    def _tell(self, gone: Counter[str]) -> None:
        self.log.info(f"{gone.total():,} events have gone so far")
