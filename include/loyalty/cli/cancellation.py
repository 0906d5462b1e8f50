"""Commands for the batch cancellation: cancel, failures, undo."""

from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer
from sqlalchemy import Connection

from loyalty.cli.output import Format, FormatOption, progress, show
from loyalty.cli.session import Ledger, as_instant, open_ledger
from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.cancellation import CancellationRun
from loyalty.services import batch_cancellation as journey
from loyalty.services.decide_run import decide_run, end_dry_run
from loyalty.services.journey_runs import RunTotals
from loyalty.services.list_failures import MEMBER, failed_members, failures_by_reason
from loyalty.services.preview_run import Preview, preview_run
from loyalty.services.undo_journey import preview_undo, undo_journey
from loyalty.store.side_by_side import SIDE_BY_SIDE

RUN = ("run_id", "business_date", "member_count", "failed_count", "points", "returned")
REASON = ("reason", "detail", "member_count", "points", "second_round")


def add_to(app: typer.Typer) -> None:
    for command in (cancel, failures, undo):
        app.command()(command)


def cancel(
    segment: Annotated[str | None, typer.Option(help="Whose points; without: as program.yaml says.")] = None,
    as_of: Annotated[str | None, typer.Option(help="A date (its midnight) or a time; without: now.")] = None,
    spare_days: Annotated[int | None, typer.Option(min=1, help="Keep points earned in the last so many days.")] = None,
    exclude_segment: Annotated[str | None, typer.Option(help="Leave the customers of this segment alone.")] = None,
    exclude_country: Annotated[list[str] | None, typer.Option(help="Leave customers of this country alone.")] = None,
    lock_minutes: Annotated[float | None, typer.Option(help="When a lock ends by itself.")] = None,
    lock_wait_minutes: Annotated[float | None, typer.Option(help="How long to wait for locks.")] = None,
    deactivation_wait_minutes: Annotated[float | None, typer.Option(help="How long to wait for promotions.")] = None,
    chunk_size: Annotated[int | None, typer.Option(min=1, help="Members that wait together, at most.")] = None,
    side_by_side: Annotated[int, typer.Option(min=1, help="Chunks at a time.")] = SIDE_BY_SIDE,
    second_round_of: Annotated[int | None, typer.Option(help="Take up the failed members of this run.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with the run of this key.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="End with the preview.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the preview is right.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Take points away from a whole segment: preview, approval, lock, wait, deactivate promotions, deduct, release."""
    with open_ledger() as ledger:
        run = journey.settings_of(
            ledger.program,
            segment=segment,
            as_of=_instant(ledger, as_of),
            spared={"count": spare_days, "unit": "days"} if spare_days else None,
            exclude_segment=exclude_segment,
            exclude_countries=tuple(exclude_country or ()) or None,
            lock_minutes=lock_minutes,
            lock_wait_minutes=lock_wait_minutes,
            deactivation_wait_minutes=deactivation_wait_minutes,
            chunk_size=chunk_size,
            second_round_of=second_round_of,
            dry_run=dry_run,
        )
        program, catalog = journey.catalog_of_run(load_catalog, ledger.program, run)
        key = resume or f"cli/{uuid4()}"
        run_id = journey.snapshot(ledger.connection, program, catalog, run, run_key=key)
        with ledger.connection.begin():
            preview = preview_run(ledger.connection, program, run_id)
        _show_preview(preview)
        if not _decided(ledger.connection, run_id, run, yes=yes):
            return
        typer.echo(f"run {run_id}; if it is interrupted: loyalty cancel --resume {key}", err=True)
        totals = _walk(ledger, run_id, preview.member_count, side_by_side)
        show([vars(totals)], output, columns=RUN)
        with ledger.connection.begin():
            reasons = failures_by_reason(ledger.connection, run_id)
    if reasons:
        typer.echo(f"{totals.failed_count:,} members failed: `loyalty failures {run_id}` says why", err=True)


def _decided(connection: Connection, run_id: int, run: CancellationRun, *, yes: bool) -> bool:
    """Whether the run may go on; the decision is kept with it."""
    with connection.begin():
        if run.dry_run:
            end_dry_run(connection, run_id)
            return False
        approved = yes or typer.confirm("Cancel these points?", err=True)
        decide_run(connection, run_id, "approved" if approved else "rejected", decided_by=_user())
    if not approved:
        typer.echo("rejected: nothing was touched", err=True)
    return approved


def _walk(ledger: Ledger, run_id: int, expected: int, side_by_side: int) -> RunTotals:
    with progress() as bars:
        bar = bars.add_task("cancelling", total=expected)
        journey.cancel_chunks(
            ledger.connection.engine,
            run_id,
            journey.cut(ledger.connection, run_id, size=ledger.program.batch_size),
            size=ledger.program.batch_size,
            mail=ledger.program.mail,
            side_by_side=side_by_side,
            on_batch=lambda step: bars.advance(bar, step.member_count + step.failed_count),
        )
    return journey.finish(ledger.connection, run_id)


def _show_preview(preview: Preview) -> None:
    """On standard error: it is for who decides, and no part of the result."""
    typer.echo("\n".join(preview.lines()), err=True)


def _instant(ledger: Ledger, text: str | None) -> datetime | None:
    return as_instant(text, ledger.zone) if text else None


def _user() -> str:
    import getpass

    return getpass.getuser()


def failures(
    run: Annotated[int, typer.Argument(help="The run's number.")],
    members: Annotated[bool, typer.Option("--members", help="Each member, and not each reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Only members with this reason.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Who failed in a run, and why; grouped by reason, or one by one."""
    with open_ledger() as ledger, ledger.connection.begin():
        if members or reason:
            show(failed_members(ledger.connection, run, reason), output, columns=MEMBER)
        else:
            show(failures_by_reason(ledger.connection, run), output, columns=REASON)


def undo(
    run: Annotated[int, typer.Argument(help="The number of the run whose points are given back.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Give back exactly what a batch cancellation took, once; says to whom it does not, and why."""
    with open_ledger() as ledger:
        if dry_run:
            with ledger.connection.begin():
                rows = [vars(one) for one in preview_undo(ledger.connection, run)]
            show(rows, output, columns=("reason", "member_count", "points"))
            return
        totals = undo_journey(ledger.connection, run, run_key=f"cli/{run}", size=ledger.program.batch_size)
        with ledger.connection.begin():
            reasons = failures_by_reason(ledger.connection, totals.run_id)
    show([vars(totals)], output, columns=RUN)
    for row in reasons:
        typer.echo(f"{row['member_count']:,} members not: {row['reason']}", err=True)
