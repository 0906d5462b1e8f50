"""Gives back exactly what a run of `batch_cancellation` took, once.

## What it does
`undo_journey` restores to each member of the run the points cancelled, dated now ▸ `reconcile` checks every invariant
for these members ▸ `report` tells how many have their points back, and who has not, and why: who had them already
(`already_restored`), and whose balance another run has locked (`balance_locked`). Promotions stay deactivated, and what
they returned stays in the balance. Points restored that are due by now expire at the next midnight.

## When it runs
By hand: trigger it with the number of the run (`run`), which the log of its `report` has.

## Running it again
Always safe: nobody gets points twice. Clear `undo_journey` to take up those whose balance was locked.

## After missed runs
Nothing: it runs only when it is asked to.

## Where the numbers are
In the log of `report`; `loyalty undo RUN --dry-run` tells beforehand. In the ledger: the events `points.restore`, each
of which refers to its `points.cancel`.
"""

import pendulum
from airflow.sdk import DAG, Param

from loyalty.orchestration.after_run import Reconcile
from loyalty.orchestration.batch_cancellation import Report
from loyalty.orchestration.retries import PATIENT
from loyalty.orchestration.undo_journey import UNDO_RUN, UndoJourney

with DAG(
    dag_id="undo_journey",
    description="The points that a batch cancellation took are given back",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(1970, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "points", "by hand"],
    params={"run": Param(type="integer", minimum=1, title="Run", description="The number of the run to be undone.")},
):
    (
        UndoJourney(task_id="undo_journey", undone="{{ params.run }}")
        >> Reconcile(task_id="reconcile", journey_run=UNDO_RUN)
        >> Report(task_id="report", journey_run=UNDO_RUN)
    )
