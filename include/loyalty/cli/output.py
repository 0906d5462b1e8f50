"""Rows as people or machines want them, and progress where a terminal shows it."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="A table for people; JSON or CSV for machines.")]


def show(rows: Sequence[Row], how: Format, *, columns: Sequence[str], title: str | None = None) -> None:
    """The rows are on standard output."""
    if how is Format.JSON:
        json.dump([{name: _plain(row[name]) for name in columns} for row in rows], sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif how is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    else:
        _show_table(rows, columns, title)


def _show_table(rows: Sequence[Row], columns: Sequence[str], title: str | None) -> None:
    table = Table(title=title, title_justify="left")
    for name in columns:
        is_number = any(isinstance(row[name], int) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[name]) for name in columns))
    Console().print(table)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | bool | str | dict | list) else _cell(value)


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars on standard error while the work goes on; nothing where that is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars
