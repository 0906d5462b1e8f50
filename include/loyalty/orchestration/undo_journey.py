"""The undo of a batch cancellation as an operator."""

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from loyalty.errors import LoyaltyError
from loyalty.orchestration.ledger import ledger
from loyalty.services.undo_journey import Restored, undo_journey

UNDO_RUN = "{{ ti.xcom_pull(task_ids='undo_journey') }}"


class UndoJourney(BaseOperator):
    """Everybody from whom the run took points has them back, or a reason why not; pushes the undo's own number."""

    template_fields = ("undone",)

    def __init__(self, *, undone: str, **task: Any) -> None:
        super().__init__(**task)
        self.undone = undone

    def execute(self, context: Context) -> int:
        with ledger() as ours:
            try:
                totals = undo_journey(
                    ours.connection,
                    int(self.undone),
                    run_key=context["run_id"],
                    size=ours.program.batch_size,
                    on_batch=self._tell,
                )
            except LoyaltyError as error:  # no retry mends what was asked for
                raise AirflowFailException(str(error)) from error
        return totals.run_id

    def _tell(self, batch: Restored) -> None:
        self.log.info(f"{batch.member_count:,} members have {batch.points:,} points back")
