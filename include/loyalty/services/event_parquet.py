"""Rows of a Parquet file, with the types that it gives them."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from loyalty.errors import LoyaltyError
from loyalty.services.event_files import Block, EventFile

ROWS = 1 << 15


def parquet_columns(file: EventFile) -> list[str]:
    """The names of its columns."""
    with _opened(file) as content:
        return list(content.schema_arrow.names)


def parquet_blocks(file: EventFile) -> Iterator[Block]:
    """Its rows, the first of which is row 1."""
    with _opened(file) as content:
        first, row_count = 1, max(content.metadata.num_rows, 1)
        batches = content.iter_batches(batch_size=ROWS)
        while batch := _next(batches, file):
            numbers = pa.array(range(first, first + len(batch)), pa.int64())
            first += len(batch)
            done = file.path.stat().st_size * (first - 1) // row_count
            yield Block(numbers, batch, done)


def _opened(file: EventFile) -> Any:
    try:
        # Read ahead, all of the file would stay in memory until its end.
        return parquet.ParquetFile(file.path, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise _broken(file, error) from error


def _next(batches: Iterator[pa.RecordBatch], file: EventFile) -> pa.RecordBatch | None:
    try:
        batch = next(batches, None)
        if batch is not None:
            # Nothing else looks whether texts are UTF-8.
            batch.validate(full=True)
        return batch
    except (pa.ArrowException, OSError) as error:
        raise _broken(file, error) from error


def _broken(file: EventFile, error: Exception) -> LoyaltyError:
    return LoyaltyError(f"{file.path}: the Parquet file is broken ({error}): fetch or write it again")
