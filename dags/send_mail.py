"""Sends what waits in the outbox: messages that quiet hours held, or that a mail server wanted later.

## What it does
`send_mail` takes messages a few at a time, hands them over to the mail server of the connection `loyalty_smtp`, and
writes down what became of each. The journeys send their own messages at once; this DAG takes up the rest.

## When it runs
Every ten minutes; nothing happens where nothing waits.

## Running it again
Always safe: a message is sent once. What was being sent when its sender died is *unsettled*: nobody knows whether the
server has it. It is not sent again by itself, unless `mail.unsettled: resend` in program.yaml says so;
`loyalty mail retry unsettled` sends it on your word. A task that fails because the mail server cannot be reached is
tried again by itself.

## After missed runs
The next run sends everything that waits. Nothing gets lost.

## Where the numbers are
In the log of `send_mail`; `loyalty mail outbox` shows how many messages are how far, and why the others are not.
"""

from airflow.sdk import DAG, CronTriggerTimetable

from loyalty.orchestration.days import program_days
from loyalty.orchestration.mail import EVERY_RUN, SendMail
from loyalty.orchestration.retries import PATIENT

with DAG(
    dag_id="send_mail",
    description="Messages that wait in the outbox are sent",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/10 * * * *", timezone="UTC"),
    start_date=program_days().first,
    catchup=False,
    max_active_runs=1,
    default_args=PATIENT,
    tags=["loyalty", "mail"],
):
    SendMail(task_id="send_mail", journey_run=EVERY_RUN)
