"""Stores the events that other PostgreSQL databases hold: the `sources` of program.yaml.

## What it does
`sync_events` reads each source from its watermark, less an overlap in which rows may have been committed late, in order
and in batches, straight from there to here. Each row becomes one event, known by its event_id; what is known already is
passed over. Each source is an Airflow connection; nothing is written there.

## When it runs
Every hour, five minutes past. The time of the run has no part in what is written. Skipped where there are no sources.

## Running it again
Always safe: a batch is stored with its watermark, or not at all, and no event twice.

## After missed hours
Nothing to do: the next run reads on from the watermark. Rows that come later than the overlap are found by a wider
`overlap`, once.

## Where the numbers are
In the log and as the return value of `sync_events`; rows that are no events, with the reason: `loyalty sync
--rejected`. They are tried again as long as they lie in the overlap.
"""

import pendulum
from airflow.sdk import DAG

from loyalty.orchestration.retries import PATIENT
from loyalty.orchestration.sync_events import SyncEvents

with DAG(
    dag_id="sync_events",
    description="Events of other databases come into the ledger",
    doc_md=__doc__,
    schedule="5 * * * *",
    start_date=pendulum.datetime(1970, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "events", "hourly"],
):
    SyncEvents(task_id="sync_events")
