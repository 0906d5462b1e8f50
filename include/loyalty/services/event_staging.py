"""Rows of any format as rows of the staging table: names, times and parameters told apart, nothing decided."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from sqlalchemy import Connection

from loyalty.services.event_columns import CANONICAL, ColumnPlan
from loyalty.services.event_files import Block
from loyalty.services.event_json import holds_nul, json_objects, plain_texts
from loyalty.services.event_ndjson import read_object
from loyalty.services.event_times import TIME, read_times, take_times
from loyalty.services.read_ahead import read_ahead
from loyalty.store.queries import query

TEXT = pa.string()
# In the order in which intake/copy_rows.sql names the columns.
STAGED = pa.schema(
    [
        ("row_number", pa.int64()),
        ("fault", TEXT),
        ("customer_id", TEXT),
        ("action", TEXT),
        ("utc_time", TIME),
        ("local_time", TIME),
        ("event_id", TEXT),
        ("source", TEXT),
        ("params", TEXT),
    ]
)
COPY_FORMAT = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
AHEAD = 2  # blocks
NAMES = tuple(name for name in CANONICAL if name != "occurred_at")


def stage_columns(block: Block, plan: ColumnPlan) -> pa.Table:
    """The block's rows from a file with columns."""
    cells = dict(zip(block.cells.schema.names, block.cells.columns, strict=True))
    count = len(block.numbers)
    parameters = {name: cells[column] for name, column in plan.parameters(list(cells)).items()}
    parameters |= {name: pa.repeat(text, count) for name, text in plan.fixed.items()}
    params, params_fault = json_objects(parameters, count)
    given = {name: cells.get(plan.named.get(name, "")) for name in CANONICAL}
    texts = {name: _texts(given[name], name, plan, count) for name in NAMES}
    utc, local, time_fault = _times(given["occurred_at"], plan, count)
    faults = [params_fault, time_fault, *(holds_nul(column, name) for name, column in texts.items())]
    fault = pc.coalesce(*(one for one in faults if one is not None))
    return _table(block.numbers, fault, texts, utc, local, pc.if_else(fault.is_null(), params, None))


def stage_lines(block: Block, plan: ColumnPlan, seen: set[str]) -> pa.Table:
    """The block's rows from a file with one JSON object a line; ``seen`` has the names of their members, too."""
    lines, members = block.cells.column("line"), [plan.named.get(name, name) for name in CANONICAL]
    rows = zip(*(read_line(line, members, seen) for line in lines.to_pylist()), strict=True)
    read = {name: pa.array(values, TEXT) for name, values in zip(("fault", *CANONICAL), rows, strict=True)}
    read |= {name: pa.repeat(text, len(lines)) for name, text in plan.constants.items()}
    utc, local, time_fault = read_times(read["occurred_at"])
    fault = pc.coalesce(read["fault"], time_fault)
    return _table(block.numbers, fault, read, utc, local, pc.if_else(fault.is_null(), lines, None))


def stage_torn(block: Block) -> pa.Table:
    """The rows of the block whose cells cannot be told apart."""
    rows = [{"row_number": number, "fault": row.reason} for number, row in block.torn.items()]
    return pa.Table.from_pylist(rows, schema=STAGED)


def copy_staged(connection: Connection, tables: Iterable[pa.Table]) -> int:
    """The tables are rows of the staging table; how many. The next ones are made while PostgreSQL takes one."""
    count = 0
    raw: Any = connection.connection.driver_connection
    with (
        closing(read_ahead(map(_written, tables), AHEAD)) as blocks,
        raw.cursor() as cursor,
        cursor.copy(query("intake/copy_rows").text) as copy,
    ):
        for rows, block in blocks:
            copy.write(block)
            count += rows
    return count


def _written(table: pa.Table) -> tuple[int, memoryview]:
    """How many rows the table has, and these as COPY reads them."""
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(table, sink, COPY_FORMAT)
    return len(table), memoryview(sink.getvalue())


def _table(numbers: pa.Array, fault: Any, texts: Mapping[str, Any], utc: Any, local: Any, params: Any) -> pa.Table:
    columns = [numbers, fault, texts["customer_id"], texts["action"], utc, local, texts["event_id"]]
    return pa.table([*columns, texts["source"], params], schema=STAGED)


def _texts(column: pa.Array | None, name: str, plan: ColumnPlan, count: int) -> pa.Array:
    if column is None:
        return pa.repeat(pa.scalar(plan.constants.get(name), TEXT), count)
    return plain_texts(column, name).cast(TEXT)


def _times(column: pa.Array | None, plan: ColumnPlan, count: int) -> tuple[pa.Array, pa.Array, pa.Array]:
    if column is not None and (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        return take_times(column)
    return read_times(_texts(column, "occurred_at", plan, count))


def read_line(line: str, members: Sequence[str], seen: set[str]) -> tuple[str | None, ...]:
    """What is wrong with the line, and what it has of the canonical columns."""
    try:
        found = read_object(line)
        if not found.keys() <= seen:
            seen.update(found)
        values = zip(map(found.get, members), members, strict=True)
        return None, *(value if value.__class__ is str else _name(value, member) for value, member in values)
    except ValueError as error:
        return str(error), *repeat(None, len(members))


def _name(value: Any, member: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{member} is {json.dumps(value)[:100]}: a text or a whole number is needed")
