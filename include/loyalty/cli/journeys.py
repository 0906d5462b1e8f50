"""Commands that move points: award, expire."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, progress, show
from loyalty.cli.session import Ledger, as_day, open_ledger, today
from loyalty.errors import LoyaltyError
from loyalty.services.award_points import Awarded, award_points
from loyalty.services.journey_runs import RunTotals
from loyalty.services.rolling_expiry import DEFAULT_SEGMENT, run_rolling_expiry

AWARDED = ("profile_count", "award_count", "points", "reversal_count", "reversed", "not_taken", "unreadable")
RUN = ("business_date", "member_count", "points", "shortfall")


def add_to(app: typer.Typer) -> None:
    app.command()(award)
    app.command()(expire)


def award(output: FormatOption = Format.TABLE) -> None:
    """Apply the earning rules to all events that they have not seen: purchases earn, refunds reverse."""
    with open_ledger() as ledger, progress() as bars:
        bar = bars.add_task("awarding", total=None)

        def tell(batch: Awarded) -> None:
            bars.advance(bar, batch.profile_count)

        awarded = award_points(ledger.connection, ledger.program, on_batch=tell)
    show([vars(awarded)], output, columns=AWARDED)
    if awarded.unreadable:
        typer.echo(f"{awarded.unreadable:,} events have an amount that is no number, and earned nothing", err=True)


def expire(
    as_of: Annotated[str | None, typer.Option(help="The day whose midnight is settled; without: today.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Settle each day from this one …")] = None,
    last: Annotated[str | None, typer.Option("--to", help="… to this one.")] = None,
    segment: Annotated[str, typer.Option(help="Whose midnights are settled.")] = DEFAULT_SEGMENT,
    ahead: Annotated[
        bool, typer.Option("--ahead", help="Settle days that have not begun: takes points early.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Settle midnights: what has fallen due and was not used expires; missed days are made up."""
    with open_ledger() as ledger:
        days = list(_days(ledger, as_of, first, last))
        with progress() as bars:
            runs = [
                _expire(ledger, day, segment, ahead=ahead) for day in bars.track(days, description="settling midnights")
            ]
    show([vars(run) for run in runs], output, columns=RUN)


def _expire(ledger: Ledger, day: date, segment: str, *, ahead: bool) -> RunTotals:
    # The same key for the same day and segment: a command that was killed is taken up by the next one like it.
    return run_rolling_expiry(
        ledger.connection,
        ledger.program,
        ledger.catalog,
        run_key=f"cli/{day}/{segment}",
        business_date=day,
        segment=segment,
        ahead=ahead,
    )


def _days(ledger: Ledger, as_of: str | None, first: str | None, last: str | None) -> Iterator[date]:
    if (first is None) != (last is None) or (as_of and first):
        raise LoyaltyError("give either --as-of DAY, or both --from DAY and --to DAY, or nothing for today")
    start = as_day(first) if first else as_day(as_of) if as_of else today(ledger.zone)
    end = as_day(last) if last else start
    if end < start:
        raise LoyaltyError(f"--to {end} lies before --from {start}")
    for n in range((end - start).days + 1):
        yield start + timedelta(days=n)
