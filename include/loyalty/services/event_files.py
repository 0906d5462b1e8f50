"""Files of events as they lie on the disk: their format, their compression, their encoding."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from loyalty.errors import LoyaltyError, nearest

SUFFIXES = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
FORMATS = ("csv", "ndjson", "parquet")
# No row may be longer. Arrow reads up to 32 such blocks ahead, which is what an import holds in memory.
BLOCK_BYTES = 1 << 20
BROKEN_COMPRESSION = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class TornRow:
    """A row whose cells cannot be told apart, with what was found in it."""

    reason: str
    cells: list[str]


@dataclass(frozen=True)
class Block:
    """Some rows of a file in its order, with their numbers in it; they reach ``done`` bytes into it."""

    numbers: pa.Array
    cells: pa.RecordBatch
    done: int
    torn: Mapping[int, TornRow] = field(default_factory=dict)


@dataclass(frozen=True)
class EventFile:
    """A file that exists, is not empty, and has a format that is known."""

    path: Path
    format: str
    encoding: str = "utf-8"

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, io.FileIO]]:
        """Its content without compression, and the file below, whose position tells how far the reading is."""
        with io.FileIO(self.path) as below:
            if self.path.suffix.lower() != ".gz":
                yield cast(BinaryIO, io.BufferedReader(below, 1 << 20)), below
                return
            try:
                with gzip.GzipFile(fileobj=io.BufferedReader(below, 1 << 20)) as content:
                    yield cast(BinaryIO, content), below
            except BROKEN_COMPRESSION as error:
                raise LoyaltyError(f"{self.path}: the compression is broken ({error}): fetch the file again") from error


def open_event_file(path: Path, file_format: str | None, encoding: str) -> EventFile:
    """The file, found fit to be read; a LoyaltyError says what is wrong with it otherwise."""
    if not path.exists():
        near = [file.name for file in path.parent.iterdir() if file.is_file()] if path.parent.is_dir() else []
        raise LoyaltyError(f"{path}: there is no such file" + (f"; {nearest(path.name, near)}" if near else ""))
    if not path.is_file():
        raise LoyaltyError(f"{path}: it is no regular file; one that can be read twice is needed")
    file = EventFile(path, file_format or _format_of(path), _known(encoding))
    if file.format not in FORMATS:
        raise LoyaltyError(f"{path}: the format {file.format!r} is unknown; {nearest(file.format, FORMATS)}")
    _refuse_emptiness(file)
    return file


def wrong_encoding(file: EventFile) -> LoyaltyError:
    """The error that names the first byte that is not of the file's encoding."""
    line, offset, byte = _first_bad_byte(file)
    return LoyaltyError(
        f"{file.path}: row {line}, byte {offset}: 0x{byte:02x} is no {file.encoding.upper()}; "
        "UTF-8 is expected, another encoding is named by --encoding, such as --encoding cp1250"
    )


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in SUFFIXES:
        raise LoyaltyError(
            f"{path}: its name does not tell the format; known: {', '.join(SUFFIXES)}, the text formats also with .gz"
        )
    return SUFFIXES[suffixes[-1]]


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise LoyaltyError(
            f"the encoding {encoding!r} is unknown; utf-8, cp1250 and iso8859-2 are some that are"
        ) from None


def _refuse_emptiness(file: EventFile) -> None:
    with file.opened() as (content, _):
        if not content.read(1):
            raise LoyaltyError(f"{file.path}: the file is empty")


def _first_bad_byte(file: EventFile) -> tuple[int, int, int]:
    decoder, line, read = codecs.getincrementaldecoder(file.encoding)(), 1, 0
    with file.opened() as (content, _):
        while True:
            chunk = content.read(BLOCK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                return line + before[pending:].count(b"\n"), read - pending + error.start, error.object[error.start]
            if not chunk:
                raise LoyaltyError(f"{file.path}: it changed while it was read")
            line += chunk.count(b"\n")
            read += len(chunk)
