"""The steps of the rolling expiry as operators."""

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.orchestration.days import JOURNEY_RUN, business_date
from loyalty.orchestration.ledger import ledger
from loyalty.services.expire_points import Batch
from loyalty.services.rolling_expiry import DEFAULT_SEGMENT, expire, finish, snapshot


class SelectMembers(BaseOperator):
    """The segment's profiles, as of the business date, are the members of the run; pushes the run's number."""

    template_fields = ("segment",)

    def __init__(self, *, segment: str = DEFAULT_SEGMENT, **task: Any) -> None:
        super().__init__(**task)
        self.segment = segment

    def execute(self, context: Context) -> int:
        day = business_date(context)
        with ledger() as ours:
            try:
                return snapshot(
                    ours.connection,
                    ours.program,
                    load_catalog(ours.program),
                    run_key=context["run_id"],
                    business_date=day,
                    segment=self.segment,
                )
            except LoyaltyError as error:  # no retry mends a definition, or a day that has not begun
                raise AirflowFailException(str(error)) from error


class ExpirePoints(BaseOperator):
    """Every member of the run is settled and the run completed; pushes the points it took just now.

    Each batch is committed: a retry goes on with the members that still wait.
    """

    template_fields = ("journey_run", "segment")

    def __init__(self, *, journey_run: str = JOURNEY_RUN, segment: str = DEFAULT_SEGMENT, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run = journey_run
        self.segment = segment

    def execute(self, context: Context) -> int:
        self._members = self._points = 0
        with ledger() as ours:
            expire(
                ours.connection,
                int(self.journey_run),
                size=ours.program.batch_size,
                mail=ours.program.mail,
                on_batch=self._tell,
            )
            finish(ours.connection, int(self.journey_run), segment=self.segment)
        return self._points

    def _tell(self, batch: Batch) -> None:
        self._members += batch.member_count
        self._points += batch.points
        self.log.info(
            f"settled {batch.member_count:,} members, {batch.points:,} points; "
            f"so far {self._members:,} members, {self._points:,} points"
        )
