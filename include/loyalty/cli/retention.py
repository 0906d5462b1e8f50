"""Commands that let go: events that nothing needs, and who a customer was."""

from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import as_day, open_ledger, today
from loyalty.definitions.retention import retentions
from loyalty.services.apply_retention import apply_retention
from loyalty.services.forget_customer import forget_customer


def add_to(app: typer.Typer) -> None:
    app.command()(retention)
    app.command()(forget)


def retention(
    day: Annotated[str | None, typer.Option(help="The day that it is; default: today.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Delete the events that are older than program.yaml keeps them, but none that a balance or a definition reads."""
    with open_ledger() as ledger:
        kept = retentions(ledger.program, ledger.catalog)
        now = as_day(day) if day else today(ledger.zone)
        gone = apply_retention(ledger.connection, kept, now, size=ledger.program.batch_size)
    show(
        [{"action": action, "deleted": count} for action, count in gone.items()], output, columns=("action", "deleted")
    )


def forget(customer: Annotated[str, typer.Argument(help="The customer's id.")]) -> None:
    """Remove who a customer was, for good; balances and sums of points stay as they are."""
    with open_ledger() as ledger, ledger.connection.begin():
        done = forget_customer(ledger.connection, customer)
    when = done.forgotten_at.isoformat(timespec="seconds")
    typer.echo(f"profile {done.profile_id} {'has no name any more' if done.is_news else f'was forgotten at {when}'}")
