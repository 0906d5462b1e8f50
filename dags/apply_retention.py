"""Deletes events that are older than program.yaml keeps them, and that nothing reads any more.

## What it does
`apply_retention` goes through the customers in batches, and deletes events of custom actions that are older than
`retention` in program.yaml says (30 days where it says nothing). What moves a balance, feeds an earning rule, is named
by another event, or is read by a definition stays; `loyalty check` refuses a setting that would take it.

## When it runs
At each midnight of the program's zone. The **partition key** is the business date D (`YYYY-MM-DD`): N days are kept
before the midnight of D.

## Running it again
Always safe: what is gone is gone, and a batch that was interrupted is begun anew. No balance ever changes.

## After missed days
Nothing to do: the next run deletes everything that is too old.

## Where the numbers are
In the log and as the return value of `apply_retention`: how many events went, by action.
"""

from airflow.sdk import DAG

from loyalty.orchestration.apply_retention import ApplyRetention
from loyalty.orchestration.days import program_days
from loyalty.orchestration.retries import PATIENT

days = program_days()

with DAG(
    dag_id="apply_retention",
    description="Events that nothing needs any more go",
    doc_md=__doc__,
    schedule=days.midnights,
    start_date=days.first,
    end_date=days.last,
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "events", "daily"],
):
    ApplyRetention(task_id="apply_retention")
