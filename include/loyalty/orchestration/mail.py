"""Mail as operators: what a run owes its members is sent, and customers are warned of what expires soon."""

from typing import Any

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException

from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.mail.handover import MailServer
from loyalty.orchestration.days import JOURNEY_RUN, business_date
from loyalty.orchestration.ledger import ledger, ledger_url
from loyalty.services.expiry_reminder import JOURNEY, remind
from loyalty.services.mail_order import order_of
from loyalty.services.mail_sender import UNSETTLED
from loyalty.services.outbox import Outbox
from loyalty.services.send_mail import send_mail
from loyalty.settings import load_settings

CONNECTION = "loyalty_smtp"
REMINDER_RUN = "{{ ti.xcom_pull(task_ids='queue_reminders') }}"
EVERY_RUN = ""


class SendMail(BaseOperator):
    """Every message of the run that may go has been handed over, once; pushes how many are in which state.

    With no run: those of all runs. What quiet hours hold, or the server wants later, stays queued for the DAG
    ``send_mail``. Skipped where the program has no campaign.
    """

    template_fields = ("journey_run",)

    def __init__(self, *, journey_run: str = JOURNEY_RUN, **task: Any) -> None:
        super().__init__(**task)
        self.journey_run = journey_run

    def execute(self, context: Context) -> dict[str, int]:
        with ledger() as ours:
            if not ours.program.mail.campaigns:
                raise AirflowSkipException("program.yaml has no mail.campaigns: there is no mail to send")
            order = order_of(
                ledger_url().render_as_string(hide_password=False),
                ours.program,
                load_catalog(ours.program),
                load_settings().program.parent,
                mail_server(),
                run_id=int(self.journey_run) if self.journey_run else None,
            )
            found = send_mail(ours.connection, order, tell=self._tell)
        for line in lines(found):
            self.log.info("%s", line)
        return {state: found.count(state) for state in ("queued", "sending", "sent", "failed", "skipped")}

    def _tell(self, so_far: Outbox) -> None:
        self.log.info(f"{so_far.count('sent'):,} sent, {so_far.count('queued') + so_far.count('sending'):,} to go")


class QueueReminders(BaseOperator):
    """Who holds points that expire soon has a message in the outbox; pushes the number of the run."""

    def execute(self, context: Context) -> int:
        day = business_date(context)
        with ledger() as ours:
            if not ours.program.mail.about(JOURNEY):
                raise AirflowSkipException("program.yaml has no campaign about points_to_expire")
            try:
                done = remind(
                    ours.connection,
                    ours.program.mail,
                    load_catalog(ours.program),
                    run_key=context["run_id"],
                    business_date=day,
                )
            except LoyaltyError as error:  # no retry mends a day that has not begun
                raise AirflowFailException(str(error)) from error
        self.log.info(f"{done.messages:,} messages warn of {done.points:,} points")
        return done.run_id


def mail_server() -> MailServer:
    """Where Airflow's connection ``loyalty_smtp`` leads, else LOYALTY_SMTP_URL."""
    hook = SmtpHook(CONNECTION)
    try:
        hook.smtp_connection = hook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        return _server_of_the_environment()
    if hook.auth_type != "basic":
        raise LoyaltyError(
            f"the connection {CONNECTION!r} asks for {hook.auth_type}; a login by name and password is known"
        )
    return MailServer(
        host=hook.host,
        port=hook.port,
        security="tls" if hook.use_ssl else "starttls" if hook.smtp_starttls else "none",
        user=hook.smtp_user or None,
        password=hook.smtp_password or None,
        timeout=hook.timeout,
    )


def _server_of_the_environment() -> MailServer:
    url = load_settings().smtp_url
    if url is None:
        raise LoyaltyError(
            f"Airflow knows no connection {CONNECTION!r}, and LOYALTY_SMTP_URL is not set: one of them must say where "
            "the mail server is"
        )
    return MailServer.from_url(url)


def lines(found: Outbox) -> list[str]:
    """The outbox as a table, and the messages of which nobody knows whether they were sent."""
    table = [
        f"{row['campaign']:<24} {row['state']:<8} {row['reason'] or '':<18} {row['messages']:>12,}"
        for row in found.rows
    ]
    unsettled = found.count("failed", UNSETTLED)
    return [*table, f"{unsettled:,} messages are unsettled: their sender died while it had them"]
