"""Commands of the books: close days, and read what they say."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, progress, show
from loyalty.cli.session import Ledger, as_day, open_ledger
from loyalty.errors import LoyaltyError
from loyalty.services import read_books
from loyalty.services.close_days import close_days
from loyalty.services.provision import provision
from loyalty.store.queries import Row

SHORT_DAY = ("day", *read_books.POINTS[:-1], "closing_money", "currency")
SHORT_MONTH = ("month", *read_books.POINTS[:-1], "closing_money", "currency")
FirstOption = Annotated[str | None, typer.Option("--from", help="From this day …")]
LastOption = Annotated[str | None, typer.Option("--to", help="… to this one.")]


def add_to(app: typer.Typer) -> None:
    for command in (close, books, ageing, cohorts):
        app.command()(command)


def close(
    day: Annotated[str | None, typer.Argument(help="The day to close.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Close each day from this one …")] = None,
    last: Annotated[str | None, typer.Option("--to", help="… to this one.")] = None,
    through: Annotated[str | None, typer.Option(help="Close every open day up to this one.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Close days for good: what was held, earned, spent, expired, and is held; closing again changes nothing."""
    start, end = _span(day, first, last, through)
    with open_ledger() as ledger, progress() as bars:
        bar = bars.add_task("closing", total=None)
        rows = close_days(
            ledger.connection,
            ledger.program,
            first=start,
            last=end,
            on_slice=lambda last_profile: bars.update(bar, completed=last_profile),
        )
    show(rows, output, columns=SHORT_DAY if output is Format.TABLE else read_books.DAY)


def books(
    first: FirstOption = None,
    last: LastOption = None,
    by: Annotated[str, typer.Option(help="day or month.")] = "day",
    xlsx: Annotated[
        Path | None, typer.Option(help="Write days, ageing, cohorts and provision to this workbook instead.")
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """The closed days, or months of them: opening, what moved, closing, in points and money."""
    if by not in ("day", "month"):
        raise LoyaltyError(f"--by {by!r}: is neither day nor month")
    start, end = _days(first, last)
    with open_ledger() as ledger:
        days = read_books.closed_days(ledger.connection, start, end)
        if xlsx:
            _write(xlsx, ledger, days)
            return
    if by == "month":
        columns = SHORT_MONTH if output is Format.TABLE else read_books.MONTH
        show(read_books.months(days), output, columns=columns)
        return
    show(days, output, columns=SHORT_DAY if output is Format.TABLE else read_books.DAY)


def ageing(first: FirstOption = None, last: LastOption = None, output: FormatOption = Format.TABLE) -> None:
    """When what was held at the end of each closed day falls due, by month; without days: of the last closed day."""
    start, end = _days(first, last)
    with open_ledger() as ledger:
        rows = read_books.ageing(ledger.connection, start or read_books.last_closed(ledger.connection, end), end)
    show(rows, output, columns=read_books.AGEING)


def cohorts(
    day: Annotated[str | None, typer.Option(help="As of the latest close up to this day.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What became of the points of each earning month: redeemed, expired, cancelled, held still, and the two rates."""
    with open_ledger() as ledger:
        rows = read_books.cohorts(ledger.connection, as_day(day) if day else None)
    show(rows, output, columns=read_books.COHORT)


def _write(path: Path, ledger: Ledger, days: Sequence[Row]) -> None:
    connection = ledger.connection
    if not days:
        raise LoyaltyError("no day of these is closed: there is nothing to write")
    first, last = days[0]["day"], days[-1]["day"]
    # What writes workbooks takes half a second to import, and no other command needs it.
    from loyalty.services.export_books import sheets, write_workbook

    found = read_books.ageing(connection, first, last), read_books.cohorts(connection, last)
    write_workbook(path, sheets(days, *found, provision(connection, ledger.program, last)))
    typer.echo(f"{len(days):,} days are in {path}", err=True)


def _span(day: str | None, first: str | None, last: str | None, through: str | None) -> tuple[date | None, date]:
    match day, first, last, through:
        case str(one), None, None, None:
            return as_day(one), as_day(one)
        case None, str(start), str(end), None:
            return as_day(start), as_day(end)
        case None, None, None, str(end):
            return None, as_day(end)
        case _:
            raise LoyaltyError("give either a day, or both --from DAY and --to DAY, or --through DAY")


def _days(first: str | None, last: str | None) -> tuple[date | None, date | None]:
    return as_day(first) if first else None, as_day(last) if last else None
