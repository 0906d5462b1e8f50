"""Constants of a definition: a number, a text, a time, or true and false."""

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

Kind = Literal["number", "text", "time", "boolean"]
Scalar = bool | int | float | datetime | str

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)")


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


def scalar_of(value: Any) -> Scalar:
    """The value as a constant; a text that states an instant, offset included, is a time."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str):
        return _in_utc(datetime.fromisoformat(value)) if _INSTANT.fullmatch(value) else value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _in_utc(value)
    raise PydanticCustomError("scalar", "must be a number, a text, true or false, or a time with its UTC offset")


def kind_of(value: Scalar) -> Kind:
    """As what the database is to compare something with this value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "time" if isinstance(value, datetime) else "text"


def _as_json(value: Scalar) -> bool | int | float | str:
    return value.isoformat() if isinstance(value, datetime) else value


def shown(value: Scalar) -> str:
    """The constant in a phrase."""
    return repr(value) if isinstance(value, str) else str(_as_json(value)).lower()


ScalarField = Annotated[Scalar, PlainValidator(scalar_of), PlainSerializer(_as_json, when_used="json")]
