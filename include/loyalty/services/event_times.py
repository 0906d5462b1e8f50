"""Times of occurrence, read from text: those with an offset are instants, those without are local."""

import re
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

# Both without a zone: Arrow writes times that have one twenty times slower.
TIME = pa.timestamp("us")
EARLIEST, LATEST = datetime(1900, 1, 1), datetime(9999, 12, 30)
# Only what cannot be taken for anything else: fromisoformat alone would read 20240101 and 2024-W01 as well.
SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?", re.ASCII)
# Of that, what machines write: instants, and times of clocks. Arrow reads it in a tenth of the time, and the same.
WRITTEN = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
SORTS = {WRITTEN + r"(Z|[+-](0\d|1[0-4]):[0-5]\d)$": pa.timestamp("us", "UTC"), WRITTEN + "$": TIME}
Times = tuple[pa.Array, pa.Array, pa.Array]


def read_times(texts: pa.Array) -> Times:
    """For each text the time in UTC, or the local time, or what is wrong with it; all null for a null."""
    for written, kind in SORTS.items():
        if pc.all(pc.match_substring_regex(texts, written)).as_py():
            with suppress(pa.ArrowInvalid):  # a 30th of February
                times = take_times(texts.cast(kind))
                if times[2].null_count == len(texts):
                    return times
    return _read_apart(texts)


def _read_apart(texts: pa.Array) -> Times:
    # Many rows share a time (a day's closing, a batch of the till): each text is read once per block.
    encoded = texts.dictionary_encode()
    read = [read_time(text) for text in encoded.dictionary.to_pylist()]
    instants, locals_, faults = zip(*read, strict=True) if read else ((), (), ())
    columns = (pa.array(instants, TIME), pa.array(locals_, TIME), pa.array(faults, pa.string()))
    return columns[0].take(encoded.indices), columns[1].take(encoded.indices), columns[2].take(encoded.indices)


def read_time(text: str) -> tuple[datetime | None, datetime | None, str | None]:
    """The time in UTC, the local time or the fault of one text: exactly one of the three."""
    try:
        moment = datetime.fromisoformat(text.strip()) if SHAPE.fullmatch(text.strip()) else None
        utc = moment.astimezone(UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment
    except (ValueError, OverflowError):
        moment = utc = None
    if moment is None or utc is None:
        return None, None, f"occurred_at {text!r} is no time; write it like 2024-05-31T13:45:00+02:00 or 2024-05-31"
    if not EARLIEST <= utc <= LATEST:
        return None, None, f"occurred_at {text!r} lies outside the years 1900 to 9999"
    return (utc, None, None) if moment.tzinfo else (None, moment, None)


def take_times(times: pa.Array) -> Times:
    """The same for a column that holds times, or dates, and no text."""
    has_zone = pa.types.is_timestamp(times.type) and times.type.tz is not None
    moments = without_zone(times)
    fits = pc.and_(
        pc.greater_equal(moments, pa.scalar(EARLIEST, TIME)), pc.less_equal(moments, pa.scalar(LATEST, TIME))
    )
    faults = pc.if_else(fits, pa.scalar(None, pa.string()), "occurred_at lies outside the years 1900 to 9999")
    known, absent = pc.if_else(fits, moments, pa.scalar(None, TIME)), pa.nulls(len(times), TIME)
    return (known, absent, faults) if has_zone else (absent, known, faults)


def without_zone(times: pa.Array) -> pa.Array:
    """The times to the microsecond, instants in UTC, others as clocks show them."""
    return times.cast(pa.timestamp("us", getattr(times.type, "tz", None)), safe=False).cast(pa.int64()).cast(TIME)
