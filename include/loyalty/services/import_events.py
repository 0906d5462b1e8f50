"""Events of a file into the ledger: each row stored once, or rejected with a reason."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.event_columns import ColumnPlan, check_columns, check_presence, plan_columns
from loyalty.services.event_csv import csv_blocks, csv_columns
from loyalty.services.event_files import Block, EventFile, open_event_file
from loyalty.services.event_ndjson import ndjson_blocks
from loyalty.services.event_parquet import parquet_blocks, parquet_columns
from loyalty.services.event_rejects import write_rejects
from loyalty.services.event_staging import copy_staged, stage_columns, stage_lines, stage_torn
from loyalty.store.queries import query

BLOCKS = {"csv": csv_blocks, "ndjson": ndjson_blocks, "parquet": parquet_blocks}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImportOutcome:
    """``read`` rows are the ``stored``, those ``already_there`` and the ``rejected``, which ``rejects_path`` lists."""

    read: int
    stored: int
    already_there: int
    rejected: int
    rejects_path: Path | None


def import_events(
    connection: Connection,
    path: Path,
    *,
    file_format: str | None,
    mapping: Mapping[str, str],
    rejects: Path | None,
    now: datetime,
    on_progress: Progress | None,
    encoding: str = "utf-8",
) -> ImportOutcome:
    """Every event of the file is in the ledger once the caller commits, but for those that the file of rejects lists.

    ``mapping`` gives names to columns: ``customer_id=client``, ``$totalAmount=amount``; ``action==transaction.charge``
    gives every row that text. ``on_progress`` hears of bytes read and bytes in all, in the thread that reads. A
    LoyaltyError is about the whole file: then roll back.
    """
    file, plan = open_event_file(path, file_format, encoding), plan_columns(mapping)
    rejects = rejects or path.with_name(path.name + ".rejected.csv")
    if rejects.resolve() == path.resolve():
        raise LoyaltyError(f"{rejects}: rejected rows cannot be written over the file that they come from")
    columns = _columns(file, plan)
    connection.execute(query("intake/open"))
    read = copy_staged(connection, _staged(file, plan, on_progress))
    connection.execute(query("intake/read"), _reading(plan, file, now))
    stored, rejected = connection.execute(query("intake/take")).one()
    if rejected:
        _list_rejections(connection, file, columns, rejects)
    return ImportOutcome(read, stored, read - stored - rejected, rejected, rejects if rejected else None)


def _columns(file: EventFile, plan: ColumnPlan) -> list[str]:
    """The columns of the file, checked; lines of JSON are one column, for each may have members of its own."""
    if file.format == "ndjson":
        return ["line"]
    columns = csv_columns(file) if file.format == "csv" else parquet_columns(file)
    check_columns(plan, columns, file.path)
    return columns


def _staged(file: EventFile, plan: ColumnPlan, on_progress: Progress | None) -> Iterator[pa.Table]:
    size, seen = file.path.stat().st_size, set[str]()
    block: Block
    for block in BLOCKS[file.format](file):
        if len(block.numbers):
            yield stage_lines(block, plan, seen) if file.format == "ndjson" else stage_columns(block, plan)
        if block.torn:
            yield stage_torn(block)
        if on_progress:
            on_progress(min(block.done, size), size)
    if file.format == "ndjson" and seen:
        check_presence(plan, sorted(seen), file.path)


def _reading(plan: ColumnPlan, file: EventFile, now: datetime) -> dict[str, object]:
    """How the rows are to be read as events."""
    return {
        "now": now,
        "whole_objects": file.format == "ndjson",
        "taken": sorted(plan.taken),
        "renamed": json.dumps(dict(plan.renamed)),
        "fixed": json.dumps(dict(plan.fixed)),
    }


def _list_rejections(connection: Connection, file: EventFile, columns: list[str], rejects: Path) -> None:
    """The file of rejects has been written."""
    listing = query("intake/list_rejections").execution_options(stream_results=True)
    with connection.execute(listing) as rejections:
        write_rejects(rejects, columns, BLOCKS[file.format](file), (tuple(row) for row in rejections))
