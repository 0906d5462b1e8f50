"""Warns customers of points about to expire, at the stages that program.yaml names, such as 30, 7 and 1 days before.

## What it does
`queue_reminders` finds who holds points that fall due on a day to which a stage has come, and puts a message into
the outbox ▸ `send_mail` sends them. Each customer is warned of each day at each stage once, and not of points that are
spent before the message goes.

## When it runs
At each midnight of the program's zone. The **partition key** is the business date D (`YYYY-MM-DD`): stage N then speaks
of the days up to D + N. Skipped where program.yaml has no campaign about `points_to_expire`.

## Running it again
Always safe: who was warned of a day at a stage is not warned again.

## After missed days
The next run speaks of every day that the missed ones would have spoken of; a backfill is not needed. A day to which
several stages have come meanwhile is spoken of once, at the nearest.

## Where the numbers are
In the log of `queue_reminders`; `loyalty.reminder`, `loyalty.email`; `loyalty mail outbox`.
"""

from airflow.sdk import DAG

from loyalty.orchestration.days import program_days
from loyalty.orchestration.mail import REMINDER_RUN, QueueReminders, SendMail
from loyalty.orchestration.retries import PATIENT

days = program_days()

with DAG(
    dag_id="expiry_reminder",
    description="Customers are warned of points about to expire",
    doc_md=__doc__,
    schedule=days.midnights,
    start_date=days.first,
    end_date=days.last,
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "mail", "daily"],
):
    QueueReminders(task_id="queue_reminders") >> SendMail(task_id="send_mail", journey_run=REMINDER_RUN)
