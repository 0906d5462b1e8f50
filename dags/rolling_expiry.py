"""Takes the points that fall due at a midnight of the program, and settles every earlier midnight still open.

## What it does
`select_members` freezes the segment *points to expire* as of the business date ▸ `expire_points` settles each member
under the account's lock and commits batch by batch; whose balance a cancellation has locked fails (`balance_locked`),
and is settled by the next run, under the same dates ▸ `reconcile` checks every invariant for the run's members ▸
`send_mail` tells those who lost points how many, where program.yaml has a campaign for it ▸ `report` writes the totals.
All of it is computed in PostgreSQL; Airflow carries ids and sums.

## When it runs
At each midnight of the program's zone (`timezone` in program.yaml): the scheduler notices it within a second or two,
and the first task starts a few seconds later. The **partition key** is the business date D (`YYYY-MM-DD`): the run
speaks about D 00:00, however late it starts. Midnights after `ends_on` of program.yaml are left to backfills.

## Running it again
Always safe, in any order, also two days at once: a run writes the difference between what is recorded and what the rule
demands, and nothing else. Clear the failed task (what follows it is cleared with it), or the whole run. To run a day by
hand, trigger the DAG with the day as *Partition Key*; a run without one is refused.
If `reconcile` failed, its log names the invariant and the rows: nothing further was written, and a retry does not help.

## After missed days
The next run settles them all, each dated by its own midnight. For a run of its own for each day missing or failed:

    airflow backfill create --dag-id rolling_expiry --from-date 2026-05-01 --to-date 2026-05-14T23:59:59 \\
        --reprocess-behavior failed --max-active-runs 1

Both days are included thanks to the time given with the second. The DAG must not be paused.

## Where the numbers are
In the log of `report`: members, points, points due that were no longer there, and each midnight. In the ledger:
`loyalty.journey_run`, `loyalty.journey_member`; `loyalty balances`, `loyalty profile CUSTOMER`, `loyalty reconcile`.
"""

from airflow.sdk import DAG, Param

from loyalty.orchestration.after_run import Reconcile, Report
from loyalty.orchestration.days import program_days
from loyalty.orchestration.mail import SendMail
from loyalty.orchestration.retries import PATIENT
from loyalty.orchestration.rolling_expiry import ExpirePoints, SelectMembers

days = program_days()

with DAG(
    dag_id="rolling_expiry",
    description="Points past their validity expire, midnight by midnight",
    doc_md=__doc__,
    schedule=days.midnights,
    start_date=days.first,
    end_date=days.last,
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "points", "daily"],
    params={
        "segment": Param(
            "points_to_expire",
            type="string",
            minLength=1,
            title="Segment",
            description="Whom to visit. The default finds every customer with a difference to settle.",
        ),
    },
):
    (
        SelectMembers(task_id="select_members", segment="{{ params.segment }}")
        >> ExpirePoints(task_id="expire_points", segment="{{ params.segment }}")
        >> Reconcile(task_id="reconcile")
        >> SendMail(task_id="send_mail")
        >> Report(task_id="report", trigger_rule="none_failed")
    )
