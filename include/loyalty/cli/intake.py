"""Commands that bring events in."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, progress, show
from loyalty.cli.session import now, open_ledger
from loyalty.errors import LoyaltyError, nearest
from loyalty.model.program import Program
from loyalty.model.sources import EventSource
from loyalty.store.database import source_connection

REJECTION = ("source", "event_id", "reason", "row", "first_seen_at", "last_seen_at")
OUTCOME = ("read", "stored", "already_there", "rejected", "rejects_path")
MappingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="NAME=COLUMN takes NAME from another column; NAME==TEXT gives every row that text. May be repeated.",
    ),
]

imports = typer.Typer(no_args_is_help=True, help="Bring events in from files.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(imports, name="import")
    app.command()(sync)


@imports.callback()
def _group() -> None:
    """Keeps `events` a word of its own while it is the only one."""


@imports.command()
def events(
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON (either may be .gz) or Parquet.")],
    mapping: MappingOption = None,
    file_format: Annotated[str | None, typer.Option("--as", help="csv, ndjson or parquet, whatever its name.")] = None,
    encoding: Annotated[str, typer.Option(help="How the text is encoded.")] = "utf-8",
    rejects: Annotated[Path | None, typer.Option(help="Where rejected rows go; default FILE.rejected.csv.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Store the events of a file, each once; rows that cannot be stored go to a file, each with its reason.

    Columns customer_id, action, occurred_at, and where wanted event_id and source; every other one is a parameter.
    """
    # Arrow takes long to import, and no other command needs it.
    from loyalty.services.import_events import import_events

    with open_ledger() as ledger, progress() as bars, ledger.connection.begin():
        bar = bars.add_task(f"reading {file.name}", total=None)
        outcome = import_events(
            ledger.connection,
            file,
            file_format=file_format,
            mapping=dict(_pair(one) for one in mapping or ()),
            rejects=rejects,
            now=now(),
            on_progress=lambda done, total: bars.update(bar, completed=done, total=total),
            encoding=encoding,
        )
    show([vars(outcome)], output, columns=OUTCOME)
    if outcome.rejected:
        typer.echo(f"{outcome.rejected:,} rows were rejected: see {outcome.rejects_path}", err=True)
        raise typer.Exit(1)


def sync(
    source: Annotated[str | None, typer.Option(help="Only this one of program.yaml.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="List the rows that are no events yet.")] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Store the events of other PostgreSQL databases (`sources` of program.yaml), each once, from where the last ended.

    LOYALTY_SOURCE_SHOP says where the source named shop is, as in postgresql://reader:password@db.example.org/shop.
    """
    # psycopg's composition takes long to import, and no other command needs it.
    from loyalty.services.sync_events import rejections, sync_events

    with open_ledger() as ledger:
        if rejected:
            with ledger.connection.begin():
                show(rejections(ledger.connection), output, columns=REJECTION)
            return
        done = []
        for one in _sources(ledger.program, source):
            with source_connection(_url_of(one)) as theirs:
                done.append({"source": one.name, **vars(sync_events(ledger.connection, theirs, one, now=now()))})
    show(done, output, columns=("source", "read", "stored", "known", "rejected"))
    if any(one["rejected"] for one in done):
        typer.echo("rows were rejected: see `loyalty sync --rejected`", err=True)
        raise typer.Exit(1)


def _sources(program: Program, name: str | None) -> Sequence[EventSource]:
    found = [one for one in program.sources if name in (None, one.name)]
    if not found:
        known = [one.name for one in program.sources]
        raise LoyaltyError(f"program.yaml names no source {name or ''!r}; {nearest(name or '', known)}")
    return found


def _url_of(source: EventSource) -> str:
    variable = f"LOYALTY_SOURCE_{source.name.upper()}"
    if not (url := os.environ.get(variable)):
        raise LoyaltyError(f"{variable} must say where the source {source.name!r} is, as a URL of PostgreSQL")
    return url


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        raise LoyaltyError(f"--map {text!r}: it looks like customer_id=client, or action==transaction.charge")
    return name, column
