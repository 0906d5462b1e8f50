"""The steps of the daily close as operators."""

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from loyalty.errors import LoyaltyError
from loyalty.orchestration.days import business_date
from loyalty.orchestration.ledger import ledger
from loyalty.services.close_days import close_days, state_of_books
from loyalty.services.count_calendar import count_calendar


class AwaitSettlement(BaseSensorOperator):
    """The midnight of the business date is settled; the task looks once a minute, and holds no worker meanwhile."""

    def __init__(self, **task: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=60, timeout=timedelta(hours=20).total_seconds(), **task)

    def poke(self, context: Context) -> bool:
        day = business_date(context)
        with ledger() as ours, ours.connection.begin():
            settled = state_of_books(ours.connection).settled_through
        if settled < day:
            self.log.info(f"midnight {day} is not settled, the last one that is: {settled}; rolling_expiry does it")
        return settled >= day


class CountCalendar(BaseOperator):
    """What will expire on which day is counted for the dashboard."""

    def execute(self, context: Context) -> int:
        with ledger() as ours, ours.connection.begin():
            return count_calendar(ours.connection)


class CloseDays(BaseOperator):
    """Every day that ended by the business date's midnight is closed; pushes the last. Skipped without points."""

    def execute(self, context: Context) -> dict[str, Any]:
        last = business_date(context) - timedelta(days=1)
        with ledger() as ours:
            with ours.connection.begin():
                books = state_of_books(ours.connection)
            if books.first_day is None:
                raise AirflowSkipException("there are no points yet: the books begin with the first day that has some")
            try:
                rows = close_days(ours.connection, ours.program, first=None, last=last)
            except LoyaltyError as error:  # no retry mends counters that are not the lots
                raise AirflowFailException(str(error)) from error
        for row in rows:
            self.log.info(f"{row['day']}: opening {row['opening']:,}, closing {row['closing']:,}, {row['fingerprint']}")
        return {name: str(rows[-1][name]) for name in ("day", "closing", "closing_money", "fingerprint")}
