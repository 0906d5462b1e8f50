"""Commands for whoever keeps the accounts: the provision, the books under other validities, the audit of a run."""

from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import as_day, open_ledger
from loyalty.errors import LoyaltyError
from loyalty.services import what_if as other
from loyalty.services.provision import LINES, NOTE
from loyalty.services.provision import provision as provide


def add_to(app: typer.Typer) -> None:
    app.command()(provision)
    app.command("what-if")(what_if)


def provision(
    day: Annotated[str | None, typer.Option(help="As of the latest close up to this day.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What is to be provided for the points held, and the revenue of those gone: inputs to the accountant, not advice."""
    with open_ledger() as ledger:
        rows = provide(ledger.connection, ledger.program, as_day(day) if day else None)
    show(rows, output, columns=LINES, title=NOTE)


def what_if(
    validity: Annotated[list[str], typer.Option(help="points.loyalty=365, or points.loyalty=never; may be repeated.")],
    output: FormatOption = Format.TABLE,
) -> None:
    """Month by month, what would have expired and been held, had points had another validity from the start."""
    validities = dict(_validity(one) for one in validity)
    with open_ledger() as ledger:
        rows = other.what_if(ledger.connection, ledger.program, validities)
    show(rows, output, columns=other.MONTH)


def _validity(text: str) -> tuple[str, int | None]:
    action, _, days = text.partition("=")
    if days == "never":
        return action, None
    if not days.isdecimal() or not 1 <= int(days) <= 36_500:
        raise LoyaltyError(f"--validity {text!r}: looks like points.loyalty=365, or points.loyalty=never")
    return action, int(days)
