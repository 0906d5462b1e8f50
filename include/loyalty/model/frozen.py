"""What every value of the model shares: it cannot change, knows its keys, and has a fingerprint."""

import json
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class Frozen(BaseModel):
    """A value: immutable, and strict about keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def canonical_json(value: JsonValue) -> str:
    """The one text of a JSON value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint_of(value: JsonValue) -> str:
    """The sha256 of the canonical JSON, in hexadecimal."""
    return sha256(canonical_json(value).encode()).hexdigest()
