"""Closes the books of the day that has ended, and of every earlier day still open, for good.

## What it does
`await_settlement` waits until *rolling_expiry* has settled the midnight ▸ `close_days` writes, for each open day, what
customers held, earned, spent, lost and hold, in points and money; when what they hold falls due; and what became of the
points of each month ▸ `count_calendar` counts what will expire on which day, for the dashboard. Points are counted as
they are booked, and computed lot by lot from the events: where both are not the same to the point, the task fails, says
both numbers, and writes nothing.

## When it runs
At each midnight of the program's zone. The **partition key** is the business date D (`YYYY-MM-DD`): the run closes
the day before D, and what is open before it. It waits for its midnight up to 20 hours, and holds no worker meanwhile.

## Running it again
Always safe: a closed day stays as it is, and what is told later about it is booked in the first open day, as *prior
days*. A run that failed because counters and lots differ fails again until the cause is found: `loyalty reconcile`.

## After missed days
Nothing to do: the next run closes them all, one by one, in their order.

## Where the numbers are
In the log of `close_days`: opening, closing and fingerprint of each day. `loyalty books`, `loyalty ageing`,
`loyalty cohorts`; in the ledger `loyalty.daily_close`, `loyalty.daily_close_ageing`, `loyalty.daily_close_cohort`.
"""

from airflow.sdk import DAG

from loyalty.orchestration.daily_close import AwaitSettlement, CloseDays, CountCalendar
from loyalty.orchestration.days import program_days
from loyalty.orchestration.retries import PATIENT

days = program_days()

with DAG(
    dag_id="daily_close",
    description="The books of each day are closed for good",
    doc_md=__doc__,
    schedule=days.midnights,
    start_date=days.first,
    end_date=days.last,
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "books", "daily"],
):
    (
        AwaitSettlement(task_id="await_settlement")
        >> CloseDays(task_id="close_days")
        >> CountCalendar(task_id="count_calendar")
    )
