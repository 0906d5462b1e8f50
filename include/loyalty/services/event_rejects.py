"""The file of rows that were not stored: each with its number, the reason and its own cells."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from loyalty.services.event_files import Block

Rejections = Iterable[tuple[int, str]]


def write_rejects(path: Path, columns: list[str], blocks: Iterable[Block], rejections: Rejections) -> None:
    """``path`` lists the rejected rows, which come in the order of the file; a reader sees all of it or nothing."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(["row", "reason", *columns])
            writer.writerows(_rejected_rows(blocks, iter(rejections)))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _rejected_rows(blocks: Iterable[Block], rejections: Iterator[tuple[int, str]]) -> Iterator[list[Any]]:
    """One walk through file and rejections side by side: neither is ever held whole."""
    ahead = next(rejections, None)
    for block in blocks:
        last = max([*block.torn, *block.numbers[-1:].to_pylist()], default=0)
        mine = []
        while ahead is not None and ahead[0] <= last:
            mine.append(ahead)
            ahead = next(rejections, None)
        cells = _cells(block, [number for number, _ in mine])
        yield from ([number, reason, *cells[number]] for number, reason in mine)
        if ahead is None:
            return


def _cells(block: Block, numbers: list[int]) -> dict[int, list[Any]]:
    whole = [number for number in numbers if number not in block.torn]
    places = pa.compute.index_in(pa.array(whole, pa.int64()), block.numbers)
    rows = block.cells.take(places).to_pylist()
    found = {number: list(row.values()) for number, row in zip(whole, rows, strict=True)}
    return found | {number: block.torn[number].cells for number in numbers if number in block.torn}
