"""What a parameter of an event, or an attribute of a profile, holds, read as one kind of value; else null."""

from typing import Any

from sqlalchemy import ColumnElement, DateTime, Numeric, Text, case, cast, func, literal
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.model.scalars import Kind
from loyalty.store.tables import Instant

_DAY = (
    r"(?!0000)(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
)
_CLOCK = r"[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_OFFSET = r" ?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
LOCAL_DAY = rf"^\s*{_DAY}\s*$"
LOCAL_TIME = rf"^\s*{_DAY}({_CLOCK})?\s*$"
WORLD_TIME = rf"^\s*{_DAY}{_CLOCK}{_OFFSET}\s*$"


def field(document: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """What the document holds under the name, as JSON."""
    return document.op("->", return_type=JSONB())(literal(name))


def text_of(document: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """The same, as a text; null also for a JSON null."""
    return document.op("->>", return_type=Text())(literal(name))


def read(document: ColumnElement[Any], name: str, kind: Kind, zone: str) -> ColumnElement[Any]:
    """The value under the name, read as that kind; a time without an offset is one of the zone."""
    if kind == "number":
        return func.loyalty.number_of(field(document, name), type_=Numeric())
    text = text_of(document, name)
    if kind == "boolean":
        word = func.lower(func.btrim(text))
        return case((word == "true", True), (word == "false", False))
    return _time_of(text, zone) if kind == "time" else text


def day_of(document: ColumnElement[Any], name: str, zone: str) -> ColumnElement[Any]:
    """The first instant of the local day that is written under the name as 2026-05-31; else null."""
    text = text_of(document, name)
    return case((text.regexp_match(LOCAL_DAY), _local(text, zone)))


def _time_of(text: ColumnElement[Any], zone: str) -> ColumnElement[Any]:
    return case(
        (text.regexp_match(WORLD_TIME), cast(text, Instant)),
        (text.regexp_match(LOCAL_TIME), _local(text, zone)),
    )


def _local(text: ColumnElement[Any], zone: str) -> ColumnElement[Any]:
    return func.loyalty.local_instant(cast(text, DateTime()), zone, type_=Instant)
