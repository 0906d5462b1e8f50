"""Commands that look: balances, one customer, what will expire, how the months went, whether it all holds."""

from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import as_day, as_instant, open_ledger
from loyalty.services import look
from loyalty.services.count_calendar import count_calendar
from loyalty.services.reconcile import Finding, awaiting_settlement, broken, reconcile_side_by_side

BALANCE = ("customer_id", "collected", "redeemed", "expired", "cancelled", "balance", "adjusted")
UPCOMING = ("expires_on", "customers", "points")
MONTH = ("month", "opening", "earned", "redeemed", "expired", "other", "closing")
LOT = ("earned_at", "action", "points", "remaining", "expires_on")
EVENT = ("occurred_at", "action", "points", "params", "source")


def add_to(app: typer.Typer) -> None:
    for command in (balances, profile, upcoming, calendar, rollforward, reconcile):
        app.command()(command)


def balances(
    as_of: Annotated[str | None, typer.Option(help="A date (its midnight) or a time; without: all recorded.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Each customer's points: collected, redeemed, expired, cancelled, adjusted down, and the balance they leave."""
    with open_ledger() as ledger:
        instant = as_instant(as_of, ledger.zone) if as_of else None
        show(look.balances(ledger.connection, instant), output, columns=BALANCE)


def profile(
    customer: Annotated[str, typer.Argument(help="The customer's id.")], output: FormatOption = Format.TABLE
) -> None:
    """One customer: balance, lots with what is left of them and when it expires, and all events."""
    with open_ledger() as ledger:
        view = look.look_at_profile(ledger.connection, customer)
    if output is Format.JSON:
        rows = [view.account | {"lots": _texts(view.lots), "events": _texts(view.events)}]
        show(rows, output, columns=("customer_id", "balance", "attributes", "tags", "lots", "events"))
        return
    upcoming = [lot for lot in view.lots if lot["remaining"] and lot["expires_on"]]
    show([view.account], output, columns=("customer_id", "balance", "attributes", "tags"), title="account")
    show(view.lots, output, columns=LOT, title="lots, soonest to expire first")
    show(upcoming, output, columns=("expires_on", "remaining"), title="upcoming expiries, unless spent before")
    show(view.events, output, columns=EVENT, title="events")


def upcoming(
    days: Annotated[int, typer.Option(min=1, help="How far ahead.")] = 30,
    after: Annotated[str | None, typer.Option(help="Count from this date; without: the day last settled.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What will expire when, in the whole program, if nobody spends anything before."""
    with open_ledger() as ledger:
        rows = look.upcoming(ledger.connection, after=as_day(after) if after else None, days=days)
    show(rows, output, columns=UPCOMING)


def calendar() -> None:
    """Count what will expire on which day, by kind, for the dashboard; `loyalty upcoming` shows it as it is now."""
    with open_ledger() as ledger, ledger.connection.begin():
        days = count_calendar(ledger.connection)
    typer.echo(f"{days:,} days and kinds counted")


def rollforward(output: FormatOption = Format.TABLE) -> None:
    """The program's points month by month: opening, earned, redeemed, expired, other, closing."""
    with open_ledger() as ledger:
        show(look.rollforward(ledger.connection), output, columns=MONTH)


def reconcile(output: FormatOption = Format.TABLE) -> None:
    """Check every invariant; exit 1 and show the offending rows when one is broken."""
    with open_ledger() as ledger:
        findings = reconcile_side_by_side(ledger.connection.engine)
        waiting = awaiting_settlement(ledger.connection)
    rows = [
        {"invariant": f.invariant, "holds": "yes" if f.holds else "NO", "offending_rows": f.count} for f in findings
    ]
    show(rows, output, columns=("invariant", "holds", "offending_rows"))
    if waiting:
        typer.echo(f"{waiting:,} accounts have news of settled midnights and wait for the next expiry run", err=True)
    for finding in broken(findings):
        _show_offenders(finding)
    if broken(findings):
        raise typer.Exit(1)


def _show_offenders(finding: Finding) -> None:
    typer.echo(f"{finding.invariant}: {finding.count:,} offending rows, the first of them:", err=True)
    for row in finding.rows:
        typer.echo("  " + ", ".join(f"{name}={value}" for name, value in row.items()), err=True)


def _texts(rows: object) -> list[dict[str, object]]:
    return [{k: v if isinstance(v, int | dict | None) else str(v) for k, v in row.items()} for row in rows]  # type: ignore[attr-defined]
