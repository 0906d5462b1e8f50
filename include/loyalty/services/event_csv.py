"""Rows of a CSV file: every cell a text, an empty one null."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from loyalty.errors import LoyaltyError
from loyalty.services.event_files import BLOCK_BYTES, Block, EventFile, TornRow, wrong_encoding

DELIMITERS = ",;\t|"


def csv_columns(file: EventFile) -> list[str]:
    """The cells of the header, which is row 1."""
    delimiter = find_delimiter(file)
    columns: list[str] = _first_row(file, lambda text: next(csv.reader(text, delimiter=delimiter), []))
    return columns


def find_delimiter(file: EventFile) -> str:
    """The one of comma, semicolon, tab and bar that the header holds most of."""
    header: str = _first_row(file, lambda text: text.readline(BLOCK_BYTES))
    return max(DELIMITERS, key=header.count)


def csv_blocks(file: EventFile) -> Iterator[Block]:
    """The rows below the header. A line without any filled cell is counted, but is no row."""
    delimiter, columns = find_delimiter(file), csv_columns(file)
    torn: dict[int, TornRow] = {}
    last = 0
    with file.opened() as (content, below):
        try:
            for batch in _batches(content, file, delimiter, len(columns), torn):
                numbers = _numbers(last, len(batch), torn)
                block = Block(numbers, batch.rename_columns(columns), below.tell())
                last = numbers[-1].as_py() if len(batch) else last
                mine = {number: torn.pop(number) for number in sorted(torn) if number < last}
                yield _whole(_without_header(block), delimiter, mine)
            yield Block(pa.array([], pa.int64()), pa.record_batch({}), below.tell(), torn)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise _explained(error, file) from error


def _first_row(file: EventFile, read: Callable[[io.TextIOWrapper], Any]) -> Any:
    # A byte order mark is none of the first name.
    encoding = "utf-8-sig" if file.encoding == "utf-8" else file.encoding
    with file.opened() as (content, _), io.TextIOWrapper(content, encoding, newline="") as text:
        try:
            return read(text)
        except UnicodeDecodeError:
            raise wrong_encoding(file) from None
        except csv.Error as error:
            raise LoyaltyError(f"{file.path}: the header cannot be read: {error}") from error


def _batches(content: Any, file: EventFile, delimiter: str, width: int, torn: dict[int, TornRow]) -> Any:
    """All rows of the right width, the header among them, as they are read; the others come into ``torn``."""

    def keep(row: Any) -> str:
        cells = next(csv.reader(io.StringIO(row.text, newline=""), delimiter=delimiter), [])
        torn[row.number] = TornRow(f"{row.actual_columns} cells, where the header has {row.expected_columns}", cells)
        return "skip"

    return arrow_csv.open_csv(
        content,
        # Torn rows are told by number only where one thread reads; PostgreSQL is slower than that one.
        arrow_csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, autogenerate_column_names=True, encoding=file.encoding
        ),
        arrow_csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
        ),
        arrow_csv.ConvertOptions(
            column_types={f"f{place}": pa.string() for place in range(width)},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _numbers(last: int, count: int, torn: dict[int, TornRow]) -> pa.Array:
    """The numbers of the next ``count`` whole rows after row ``last``: those of torn rows are passed over."""
    if not torn:
        return pa.array(range(last + 1, last + 1 + count), pa.int64())
    numbers: list[int] = []
    number = last
    while len(numbers) < count:
        number += 1
        if number not in torn:
            numbers.append(number)
    return pa.array(numbers, pa.int64())


def _without_header(block: Block) -> Block:
    if len(block.numbers) and block.numbers[0].as_py() == 1:
        return Block(block.numbers.slice(1), block.cells.slice(1), block.done)
    return block


def _whole(block: Block, delimiter: str, torn: dict[int, TornRow]) -> Block:
    """The block without its empty lines, and with rows that swallowed others among the torn ones."""
    kept = reduce(pc.or_, (column.is_valid() for column in block.cells.columns))
    swallowing = _swallowing(block.cells, delimiter)
    if swallowing is not None:
        rows = pc.indices_nonzero(swallowing)
        for number, cells in zip(block.numbers.take(rows).to_pylist(), block.cells.take(rows).to_pylist(), strict=True):
            lines = sum((cell or "").count("\n") for cell in cells.values())
            torn[number] = TornRow(
                f"a cell goes on over {lines} more lines that look like rows: is a closing quote missing?",
                [cell or "" for cell in cells.values()],
            )
        kept = pc.and_not(kept, swallowing)
    return Block(block.numbers.filter(kept), block.cells.filter(kept), block.done, torn)


def _swallowing(cells: pa.RecordBatch, delimiter: str) -> pa.Array | None:
    """Which rows have a cell with a line as long, in cells, as a row: None where there is none, as nearly always."""
    broken = [column for column in cells.columns if pc.any(pc.match_substring(column, "\n")).as_py()]
    if not broken or cells.num_columns < 3:
        return None
    row = f"\n([^\n]*{re.escape(delimiter)}){{{cells.num_columns - 1}}}"
    return reduce(pc.or_, (pc.match_substring_regex(column, row).fill_null(False) for column in broken))


def _explained(error: Exception, file: EventFile) -> LoyaltyError:
    if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return wrong_encoding(file)
    if "straddling" in str(error):
        return LoyaltyError(f"{file.path}: a row is longer than {BLOCK_BYTES >> 20} MB: is a closing quote missing?")
    return LoyaltyError(f"{file.path}: {error}")
