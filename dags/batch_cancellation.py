"""Takes the points of a whole segment away in one night, each customer's under a lock, after somebody has approved.

## What it does
`select_members` freezes the segment and everybody's points to cancel ▸ `preview_run` shows them ▸ `approve_run` waits
for a human ▸ for each chunk of members: `lock_balances` asks for locks ▸ `await_locks` ▸ `fail_unlocked` fails who was
not confirmed in time; `filter_clients` finds who has active promotions ▸ `deactivate_promotions` ▸
`await_deactivations` ▸ `fail_undeactivated` ▸ `deduct_points` computes each amount again under the lock and takes it,
once ▸ `release_locks` ▸ then `finish_run` ▸ `reconcile` ▸ `send_mail` tells those who lost points how many ▸ `report`.
A task with nothing to do shows itself as skipped. Few chunks are locked and deducted at a time: `chunks_at_once`.

## When it runs
By hand, from its form, or as `cancellation.schedule` of program.yaml says. Its clock is the present.

## Running it again
Every task can be cleared and run again at any moment: the database decides who is still to be acted on, each amount has
one key, deadlines stay. A chunk whose task failed for good does not stop the others: its members fail with
`engine_error`, their locks are released, the run is red. Whoever failed for a reason that may come again is taken up by
a **second round**: trigger the DAG with `second_round_of` = the number of the run.

## After missed nights
Nothing is made up by itself: trigger it. To take a run back: the DAG `undo_journey`, or `loyalty undo RUN`.

## Where the numbers are
The preview in `approve_run` (Required Actions), totals in the log of `report`; `loyalty failures RUN` says who failed
and why; `loyalty.journey_run` and `loyalty.journey_member` keep everything, the decision included.
"""

from airflow.sdk import DAG, task_group

from loyalty.orchestration import batch_cancellation as step
from loyalty.orchestration.after_run import Reconcile
from loyalty.orchestration.batch_cancellation_form import FORM, cancellation_plan
from loyalty.orchestration.mail import SendMail
from loyalty.orchestration.retries import PATIENT
from loyalty.orchestration.waits import AwaitDeactivations, AwaitLocks

plan = cancellation_plan()
few = {"max_active_tis_per_dagrun": plan.chunks_at_once}


@task_group
def cancel_chunk(chunk: int) -> None:
    """From the lock to the release, for the members of one chunk."""
    locked = AwaitLocks(task_id="await_locks")
    unlocked = step.FailUnlocked(task_id="fail_unlocked", chunk=chunk)
    filtered = step.FilterClients(task_id="filter_clients", chunk=chunk)
    undeactivated = step.FailUndeactivated(task_id="fail_undeactivated", chunk=chunk)
    deducted = step.DeductPoints(task_id="deduct_points", chunk=chunk, trigger_rule="none_failed", **few)
    released = step.ReleaseLocks(task_id="release_locks", chunk=chunk, trigger_rule="all_done")
    asked = step.LockBalances(task_id="lock_balances", chunk=chunk, **few)
    asked >> locked >> [unlocked, filtered]
    deactivated = step.DeactivatePromotions(task_id="deactivate_promotions", chunk=chunk)
    filtered >> deactivated >> AwaitDeactivations(task_id="await_deactivations") >> undeactivated
    [filtered, undeactivated] >> deducted
    [unlocked, deducted] >> released


with DAG(
    dag_id="batch_cancellation",
    description="The points of a whole segment are cancelled, each customer's under a lock",
    doc_md=__doc__,
    schedule=plan.schedule,
    start_date=plan.first,
    catchup=False,
    max_active_runs=1,
    # The later a step, the sooner its turn, where several wait for a worker; how few begin, ``few`` says.
    default_args={**PATIENT, "weight_rule": "upstream"},
    tags=["loyalty", "points", "once a year"],
    params=FORM,
):
    chunks = step.CutChunks(task_id="cut_chunks")
    preview = step.SelectMembers(task_id="select_members") >> step.PreviewRun(task_id="preview_run")
    preview >> step.ApproveRun(task_id="approve_run", hours=plan.approval_hours) >> chunks
    report = step.Report(task_id="report", trigger_rule="none_failed")
    finished = step.FinishRun(task_id="finish_run", trigger_rule="none_failed")
    cancel_chunk.expand(chunk=chunks.output) >> finished
    finished >> Reconcile(task_id="reconcile") >> SendMail(task_id="send_mail") >> report
