"""Rows of a file that holds one JSON object a line."""

import io
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loyalty.errors import LoyaltyError
from loyalty.services.event_files import BLOCK_BYTES, Block, EventFile, wrong_encoding

# What PostgreSQL's numeric holds is far beyond; a double is not, and is no reason to refuse an amount.
LONGEST_NUMBER = 1000
LARGEST_EXPONENT = 400
# As json.dumps writes it; an even number of backslashes before it means themselves.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def ndjson_blocks(file: EventFile) -> Iterator[Block]:
    """The lines that are not blank, in a column ``line``."""
    encoding = "utf-8-sig" if file.encoding == "utf-8" else file.encoding
    with file.opened() as (content, below), io.TextIOWrapper(content, encoding, newline="\n") as text:
        try:
            numbered = enumerate(iter(partial(text.readline, BLOCK_BYTES), ""), start=1)
            while block := _some_lines(numbered, file):
                numbers, lines = zip(*block, strict=True)
                cells = pa.record_batch({"line": pa.array(lines, pa.string())})
                filled = pc.invert(pc.utf8_is_space(cells.column(0)))
                yield Block(pa.array(numbers, pa.int64()).filter(filled), cells.filter(filled), below.tell())
        except UnicodeDecodeError as error:
            raise wrong_encoding(file) from error


def _some_lines(numbered: Iterator[tuple[int, str]], file: EventFile) -> list[tuple[int, str]]:
    found, size = [], 0
    for number, line in numbered:
        if len(line) == BLOCK_BYTES:
            raise LoyaltyError(f"{file.path}: row {number} is longer than {BLOCK_BYTES >> 20} MB")
        found.append((number, line.rstrip("\r\n") or " "))
        size += len(line)
        if size > BLOCK_BYTES:
            break
    return found


def read_object(line: str) -> dict[str, Any]:
    """The object of a line that PostgreSQL would read as the same; a ValueError says what would not be."""
    try:
        found = DECODER.decode(line)
        if "\\u" in line:
            _refuse_unstorable(found)
    except json.JSONDecodeError as error:
        raise ValueError(f"the line is no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("the line is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError('the line is no object; a row is written like {"customer_id": "17", "action": ...}')
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _bounded(text: str) -> float:
    if len(text) > LONGEST_NUMBER or "e" in text or "E" in text:
        exponent = text.lower().partition("e")[2]
        if len(text) > LONGEST_NUMBER or abs(int(exponent or 0)) > LARGEST_EXPONENT:
            raise ValueError(f"the number {text[:40]} is out of range")
    return float(text)


def _refuse_unstorable(found: dict[str, Any]) -> None:
    text = json.dumps(found, ensure_ascii=False)
    if NUL.search(text):
        raise ValueError("the line holds the character \\u0000, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the line holds half of a character pair, \\u{ord(text[error.start]):04x}") from None


# One for all lines: json.loads would make one for each.
DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_bounded)
