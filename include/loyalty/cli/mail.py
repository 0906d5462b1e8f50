"""Commands for mail: what a message looks like, sending, the outbox, and what comes back."""

from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import Ledger, as_day, open_ledger, today
from loyalty.errors import LoyaltyError
from loyalty.mail.handover import MailServer
from loyalty.services.campaigns import Campaigns
from loyalty.services.expiry_reminder import remind as queue_reminders
from loyalty.services.mail_feedback import read_feedback, suppress
from loyalty.services.mail_order import order_of
from loyalty.services.outbox import Outbox, requeue_mail
from loyalty.services.outbox import outbox as look_at_outbox
from loyalty.services.preview_mail import preview_mail
from loyalty.services.rehearse_mail import rehearse_mail
from loyalty.services.send_mail import send_mail
from loyalty.settings import load_settings

OUTBOX = ("campaign", "state", "reason", "messages")
RunOption = Annotated[int | None, typer.Option("--run", help="Only what this run owes.")]
mail = typer.Typer(no_args_is_help=True, help="Messages to customers: preview, send, and what became of them.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(mail, name="mail")


@mail.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="The campaign.")],
    customer: Annotated[str, typer.Option(help="The customer's id.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="A file: .html gets the HTML part, .eml the whole message.")
    ] = None,
) -> None:
    """Write one customer's message: the one owed, or else one about the whole balance. Nothing is sent."""
    with open_ledger() as ledger, ledger.connection.begin():
        letter = preview_mail(ledger.connection, _campaigns(ledger), campaign, customer, datetime.now(ledger.zone))
    if output is None:
        typer.echo(_readable(letter.wire))
        return
    output.write_bytes(letter.content.html.encode() if output.suffix == ".html" else letter.wire)
    typer.echo(f"{output}: to {letter.address}, {letter.content.subject}", err=True)


def _readable(wire: bytes) -> str:
    """The headers that people look at, and the text part."""
    message = message_from_bytes(wire, policy=policy.default)
    heads = [
        f"{name}: {message[name]}"
        for name in ("From", "To", "Subject", "Reply-To", "List-Unsubscribe")
        if message[name]
    ]
    part = message.get_body(("plain",))
    return "\n".join([*heads, "", part.get_content() if part else ""])


@mail.command()
def send(
    run: RunOption = None,
    patience: Annotated[float, typer.Option(help="Seconds to wait for a server that is away or says later.")] = 120,
    retry_seconds: Annotated[float, typer.Option(help="Seconds before the first further try; doubled each time.")] = 60,
    dry_run: Annotated[
        Path | None, typer.Option("--dry-run", help="Write into this maildir, and send nothing.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Send what waits in the outbox, each message once; LOYALTY_SMTP_URL says through which server."""
    settings = load_settings()
    with open_ledger() as ledger:
        if dry_run is not None:
            with ledger.connection.begin():
                done = rehearse_mail(ledger.connection, _campaigns(ledger), dry_run, datetime.now(ledger.zone), run)
            show(
                [{"outcome": key, "messages": count} for key, count in done.items()],
                output,
                columns=("outcome", "messages"),
            )
            return
        if settings.smtp_url is None:
            raise LoyaltyError(
                "LOYALTY_SMTP_URL says where the mail server is, as in smtp://user:password@mail.example.org:587"
            )
        _campaigns(ledger)
        order = order_of(
            ledger.connection.engine.url.render_as_string(hide_password=False),
            ledger.program,
            ledger.catalog,
            settings.program.parent,
            MailServer.from_url(settings.smtp_url),
            run_id=run,
            patience=patience,
            retry_seconds=retry_seconds,
        )
        show(send_mail(ledger.connection, order, tell=_tell).rows, output, columns=OUTBOX)


def _tell(so_far: Outbox) -> None:
    typer.echo(f"{so_far.count('sent'):,} sent, {so_far.count('queued') + so_far.count('sending'):,} to go", err=True)


@mail.command()
def outbox(run: RunOption = None, output: FormatOption = Format.TABLE) -> None:
    """How many messages are how far, and why the others are not."""
    with open_ledger() as ledger, ledger.connection.begin():
        show(look_at_outbox(ledger.connection, run).rows, output, columns=OUTBOX)


@mail.command()
def retry(
    reason: Annotated[str, typer.Argument(help="As `loyalty mail outbox` names it: given_up, refused, unsettled, …")],
    run: RunOption = None,
) -> None:
    """Try messages again that failed for this reason. Those that are unsettled may arrive twice."""
    with open_ledger() as ledger, ledger.connection.begin():
        typer.echo(f"{requeue_mail(ledger.connection, reason, run):,} messages wait to be tried again")


@mail.command()
def remind(
    as_of: Annotated[str | None, typer.Option(help="The day from which stages count; without: today.")] = None,
    ahead: Annotated[bool, typer.Option("--ahead", help="Speak for a day that has not begun.")] = False,
) -> None:
    """Put messages about points that expire soon into the outbox; each day and stage once."""
    with open_ledger() as ledger:
        day = as_day(as_of) if as_of else today(ledger.zone)
        done = queue_reminders(
            ledger.connection,
            ledger.program.mail,
            ledger.catalog,
            run_key=f"cli/{uuid4()}",
            business_date=day,
            ahead=ahead,
        )
    typer.echo(f"run {done.run_id}: {done.messages:,} messages warn of {done.points:,} points")


@mail.command()
def bounces(
    file: Annotated[Path, typer.Argument(help="CSV: address, reason (bounced, complained, unsubscribed), detail.")],
) -> None:
    """Feed back whose mail bounced, or who wants none: these addresses get no more."""
    told = read_feedback(file)
    with open_ledger() as ledger, ledger.connection.begin():
        new = suppress(ledger.connection, told)
    typer.echo(f"{len(told):,} rows, {new:,} addresses that were not known as such")


def _campaigns(ledger: Ledger) -> Campaigns:
    return Campaigns(ledger.program, ledger.catalog, load_settings().program.parent)
