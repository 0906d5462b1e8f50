"""Pydantic's errors as sentences for the one who wrote the file."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loyalty.errors import nearest

Place = tuple[int | str, ...]
_QUOTED = re.compile(r"'([^']*)'")


def key_path(place: Sequence[int | str]) -> str:
    """The place as written in a document: ``earning_rules[0].name``."""
    parts = [f"[{one}]" if isinstance(one, int) else f".{one}" for one in place]
    return "".join(parts).lstrip(".") or "(whole)"


def fault_lines(source: str, model: type[BaseModel], error: ValidationError, under: Place = ()) -> list[str]:
    """One line a fault: source, key path, value, what would be right."""
    return list(dict.fromkeys(_line(source, model, one, under) for one in error.errors(include_url=False)))


def _line(source: str, model: type[BaseModel], error: ErrorDetails, under: Place) -> str:
    place, known = _walk(model, error["loc"])
    where = key_path((*under, *place))
    if error["type"] == "missing":
        return f"{source}: {where}: is missing"
    if error["type"] == "extra_forbidden":
        return f"{source}: {where}: is no known key; {nearest(str(place[-1]), known)}"
    if error["type"] == "union_tag_invalid":
        tag, tags = error["ctx"]["tag"], _QUOTED.findall(error["ctx"]["expected_tags"])
        return f"{source}: {where}.type: {tag!r}: is no known type; {nearest(tag, tags)}"
    return f"{source}: {where}: {_shown(error['input'])}: {_lower(error['msg'])}{_hint(error)}"


def _hint(error: ErrorDetails) -> str:
    choices = _QUOTED.findall(error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    hint = nearest(str(error["input"]), choices)
    return f"; {hint}" if hint.startswith("did") else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _walk(model: type[BaseModel], loc: Place) -> tuple[Place, list[str]]:
    """The place without the marks that pydantic leaves for a choice it made, and the keys known where it ends."""
    types: list[Any] = [model]
    place: list[int | str] = []
    known: list[str] = []
    for step in loc:
        below = [kind for one in types for kind in _members(one)]
        inner = [kind for one in below for kind in _inside(one, step)]
        known = [key for one in below for key in _keys(one)]
        if not inner and _is_mark(step, below):
            types = [one for one in below if _marks(one, step)] or below
            continue
        place.append(step)
        types = inner
    return tuple(place), known


def _members(kind: Any) -> Iterator[Any]:
    if hasattr(kind, "__value__"):
        yield from _members(kind.__value__)
    elif get_origin(kind) is Annotated:
        yield from _members(get_args(kind)[0])
    elif get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        for one in get_args(kind):
            yield from _members(one)
    else:
        yield kind


def _fields(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}


def _keys(kind: Any) -> list[str]:
    return list(_fields(kind))


def _inside(kind: Any, step: int | str) -> Iterator[Any]:
    if step in _fields(kind):
        yield _fields(kind)[str(step)]
    elif get_origin(kind) in (tuple, list) and isinstance(step, int):
        yield get_args(kind)[0]
    elif get_origin(kind) is dict:
        yield get_args(kind)[1]


def _marks(kind: Any, step: int | str) -> bool:
    """Whether the step is the tag by which a union chose this kind."""
    tags = (get_args(one) for one in _fields(kind).values() if get_origin(one) is Literal)
    return getattr(kind, "__name__", None) == step or any(step in tag for tag in tags)


def _is_mark(step: int | str, kinds: list[Any]) -> bool:
    choice = len(kinds) > 1 or (isinstance(step, str) and ("[" in step or "-" in step))
    return choice and not any(_inside(kind, step) and step in _fields(kind) for kind in kinds)
