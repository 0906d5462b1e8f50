"""Turns purchases, and whatever else the earning rules name, into points; refunds take them back.

## What it does
`award_points` looks at the customers with events that the earning rules of program.yaml have not seen. Each award and
each reversal is written exactly once, dated like the event it is for, also when that event arrived late.

## When it runs
Every hour, a quarter past. It takes whatever waits; the time of the run has no part in what is written.

## Running it again
Always safe: what was awarded stays awarded, and a batch that was interrupted is begun anew. Clear the task, or trigger
the DAG whenever points should not wait for the hour.

## After missed hours
Nothing to do: the next run awards everything that waits. Midnights already settled that a late event changes are
corrected by the next `rolling_expiry`.

## Where the numbers are
In the log of `award_points`, batch by batch, and as its return value: customers, awards, points, reversals, what could
not be read, and points of refunds that were gone already. The events themselves: `loyalty profile CUSTOMER`.
"""

import pendulum
from airflow.sdk import DAG

from loyalty.orchestration.award_points import AwardPoints
from loyalty.orchestration.retries import PATIENT

with DAG(
    dag_id="award_points",
    description="Events become points by the earning rules",
    doc_md=__doc__,
    schedule="15 * * * *",
    start_date=pendulum.datetime(1970, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "points", "hourly"],
):
    AwardPoints(task_id="award_points")
