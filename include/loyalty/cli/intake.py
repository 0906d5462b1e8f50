"""Commands that bring events in."""

from pathlib import Path
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, progress, show
from loyalty.cli.session import now, open_ledger
from loyalty.errors import LoyaltyError

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


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        raise LoyaltyError(f"--map {text!r}: it looks like customer_id=client, or action==transaction.charge")
    return name, column
