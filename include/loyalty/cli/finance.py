"""Commands for whoever keeps the accounts: the provision, the books under other validities, the audit of a run."""

from pathlib import Path
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import as_day, open_ledger
from loyalty.errors import LoyaltyError
from loyalty.services import what_if as other
from loyalty.services.audit_run import Section, audit_run
from loyalty.services.provision import LINES, NOTE
from loyalty.services.provision import provision as provide


def add_to(app: typer.Typer) -> None:
    app.command()(provision)
    app.command("what-if")(what_if)
    app.command()(audit)


def provision(
    day: Annotated[str | None, typer.Option(help="As of the latest close up to this day.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What to provide for the points held, and the revenue of those gone: inputs to the accountant, not advice."""
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


def audit(
    run: Annotated[int, typer.Argument(help="The number of the run.")],
    html: Annotated[Path | None, typer.Option(help="Write it to this file as a page.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write it to this file as PDF.")] = None,
) -> None:
    """The report of a run for an auditor: who decided, what it did, whether it holds, and the fingerprints of it."""
    with open_ledger() as ledger:
        report = audit_run(ledger.connection, run)
    # What prints takes a second to import, and no other command needs it.
    from loyalty.dashboard.print_audit import audit_html, audit_pdf

    if html:
        html.write_text(audit_html(report), encoding="utf-8")
    if pdf:
        pdf.write_bytes(audit_pdf(report))
    if not (html or pdf):
        for section in report.sections:
            _show_section(section)


def _show_section(section: Section) -> None:
    columns = tuple(name or f"{section.title} {n}" for n, name in enumerate(section.columns))
    rows = [dict(zip(columns, row, strict=True)) for row in section.rows]
    show(rows, Format.TABLE, columns=columns, title=section.title)


def _validity(text: str) -> tuple[str, int | None]:
    action, _, days = text.partition("=")
    if days == "never":
        return action, None
    if not days.isdecimal() or not 1 <= int(days) <= 36_500:
        raise LoyaltyError(f"--validity {text!r}: looks like points.loyalty=365, or points.loyalty=never")
    return action, int(days)
