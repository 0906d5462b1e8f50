"""What one setting of a program demands of another; every fault is found, also beside faults of other kinds."""

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import ModelWrapValidatorHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from loyalty.errors import nearest
from loyalty.model.actions import BUILT_IN_ACTIONS, NOTHING

Place = tuple[int | str, ...]


def known_zone(name: str) -> str:
    """The name, where it is one of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(f"is no time zone; {nearest(name, available_timezones())}") from None
    return name


def cross_checked(cls: type, raw: Any, validate: ModelWrapValidatorHandler[Any]) -> Any:
    """The validated program; else one ValidationError of its own faults and those between its settings."""
    wrong = [_detail(*fault) for fault in _cross_faults(raw)] if isinstance(raw, Mapping) else []
    try:
        program = validate(raw)
    except ValidationError as error:
        raise ValidationError.from_exception_data(cls.__name__, [*map(_again, error.errors()), *wrong]) from None
    if wrong:
        raise ValidationError.from_exception_data(cls.__name__, wrong)
    return program


def _cross_faults(raw: Mapping[str, Any]) -> Iterator[tuple[Place, Any, str]]:
    actions = raw.get("earning_actions")
    earning = [name for name in actions if isinstance(name, str)] if isinstance(actions, Mapping) else []
    for name in earning:
        if name in BUILT_IN_ACTIONS:
            yield ("earning_actions", name), name, "is built in and cannot earn points; choose another name"
    rules = raw.get("earning_rules")
    if isinstance(rules, list | tuple):
        yield from _names_given_twice("earning_rules", rules)
        yield from _rule_faults(rules, earning)
    for key in ("promotions", "subscribers", "sources"):
        parts = raw.get(key)
        if isinstance(parts, list | tuple):
            yield from _names_given_twice(key, parts)


def _names_given_twice(key: str, parts: list[Any] | tuple[Any, ...]) -> Iterator[tuple[Place, Any, str]]:
    names: set[str] = set()
    for at, part in enumerate(parts):
        name = _part(part, "name")
        if isinstance(name, str) and name in names:
            yield (key, at, "name"), name, "names an earlier one too; each needs its own"
        names |= {name} if isinstance(name, str) else set()


def _rule_faults(rules: list[Any] | tuple[Any, ...], earning: list[str]) -> Iterator[tuple[Place, Any, str]]:
    for at, rule in enumerate(rules):
        action, earns = (_part(rule, key) for key in ("action", "earns"))
        if isinstance(earns, str) and earns not in earning:
            yield ("earning_rules", at, "earns"), earns, f"is none of earning_actions; {nearest(earns, earning)}"
        if isinstance(action, str) and (action in earning or BUILT_IN_ACTIONS.get(action, NOTHING) != NOTHING):
            yield ("earning_rules", at, "action"), action, "moves the balance itself; points cannot earn points"


def _part(rule: Any, key: str) -> Any:
    return rule.get(key) if isinstance(rule, Mapping) else getattr(rule, key, None)


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{message}", {"message": message})


def _detail(place: Place, value: Any, message: str) -> InitErrorDetails:
    return InitErrorDetails(type=_wrong(message), loc=place, input=value)


def _again(error: Any) -> InitErrorDetails:
    kind = PydanticCustomError(error["type"], "{message}", {**error.get("ctx", {}), "message": error["msg"]})
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])
