"""Arrow columns as JSON texts, by whole columns."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loyalty.errors import LoyaltyError
from loyalty.services.event_ndjson import NUL
from loyalty.services.event_times import without_zone

TEXT = pa.string()
NO_TEXT = pa.scalar(None, TEXT)
# All that JSON wants escaped, the backslash first; NUL is refused before.
ESCAPES = {"\\": "\\\\", '"': '\\"', **{chr(code): f"\\u{code:04x}" for code in range(1, 32)}}
Texts = tuple[pa.Array, pa.Array | None]


def json_objects(columns: dict[str, pa.Array], count: int) -> Texts:
    """One object a row with the columns that hold something there, and what keeps a row from being stored."""
    # Not by null_handling="skip": Arrow leaves out rows of which every part is null.
    members, faults = [pa.repeat("", count)], []
    for name, column in columns.items():
        texts, fault = json_texts(column, name)
        member = pc.binary_join_element_wise("," + json.dumps(name, ensure_ascii=False) + ":", texts, "")
        members.append(member.fill_null(""))
        faults += [] if fault is None else [fault]
    joined = pc.ascii_ltrim(pc.binary_join_element_wise(*members, ""), characters=",")
    return pc.binary_join_element_wise("{", joined, "}", ""), pc.coalesce(*faults) if faults else None


def json_texts(column: pa.Array, name: str) -> Texts:
    """Each value as JSON, null for none; numbers stay numbers, times become ISO texts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return json_texts(column.cast(kind.value_type), name)
    if pa.types.is_floating(kind):
        return _finite(column.cast(pa.float32()) if pa.types.is_float16(kind) else column, name)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return column.cast(TEXT), None
    if pa.types.is_nested(kind):
        return _nested(column, name)
    return quoted(plain_texts(column, name)), holds_nul(plain_texts(column, name), name)


def plain_texts(column: pa.Array, name: str) -> pa.Array:
    """Texts, whole numbers and times as they are written."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain_texts(column.cast(kind.value_type), name)
    if pa.types.is_timestamp(kind):
        texts = pc.replace_substring_regex(without_zone(column).cast(TEXT), r"\.0+$", "")
        return pc.binary_join_element_wise(pc.replace_substring(texts, " ", "T"), "Z" if kind.tz else "", "")
    readable = (pa.types.is_integer, pa.types.is_date, pa.types.is_time, pa.types.is_null, _is_text)
    if not any(fits(kind) for fits in readable):
        raise LoyaltyError(f"the column {name!r} holds {kind}: a text, a whole number or a time is needed")
    return column.cast(TEXT)


def quoted(texts: pa.Array) -> pa.Array:
    """The texts as JSON strings."""
    if _any(pc.match_substring_regex(texts, r'[\\"\x01-\x1f]')):
        for character, escaped in ESCAPES.items():
            texts = pc.replace_substring(texts, character, escaped)
    return pc.binary_join_element_wise('"', texts, '"', "")


def holds_nul(texts: pa.Array, name: str) -> pa.Array | None:
    """The fault of each text with a character that PostgreSQL stores in no text; None where there is no such row."""
    found = pc.match_substring(texts, "\0")
    fault = f"{name} holds the character \\u0000, which cannot be stored"
    return pc.if_else(found, fault, NO_TEXT) if _any(found) else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _any(found: pa.Array) -> bool:
    return bool(pc.any(found).as_py())


def _finite(numbers: pa.Array, name: str) -> Texts:
    fits = pc.is_finite(numbers)
    if pc.all(fits).as_py() is not False:
        return numbers.cast(TEXT), None
    faults = pc.binary_join_element_wise(numbers.cast(TEXT), f" in {name} is no number in JSON", "")
    return pc.if_else(fits, numbers.cast(TEXT), NO_TEXT), pc.if_else(fits, NO_TEXT, faults)


def _nested(column: pa.Array, name: str) -> Texts:
    pairs = [_nested_text(value, name) for value in column.to_pylist()]
    return pa.array([text for text, _ in pairs], TEXT), pa.array([fault for _, fault in pairs], TEXT)


def _nested_text(value: Any, name: str) -> tuple[str | None, str | None]:
    try:
        text = None if value is None else json.dumps(value, allow_nan=False, default=_plain)
    except ValueError:
        return None, f"{name} holds a number that JSON has no word for"
    if text and NUL.search(text):
        return None, f"{name} holds the character \\u0000, which cannot be stored"
    return text, None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
