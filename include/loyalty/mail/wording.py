"""How numbers, days and links are written in a message: filters for templates."""

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def number(context: Context, value: int | Decimal) -> str:
    """The number as the message's language writes it: 1,234 or 1 234."""
    return _number(value, context["message"]["locale"])


@pass_context
def day(context: Context, value: date) -> str:
    """The day as the message's language writes it: 1 July 2026."""
    return _day(value, context["message"]["locale"])


@pass_context
def money(context: Context, points: int) -> str:
    """What so many points are worth, in the program's currency."""
    program = context["program"]
    return _money(points * program["point_value"], program["currency"], context["message"]["locale"])


@pass_context
def link(context: Context, url: str) -> str:
    """The link, telling where its visitor comes from."""
    return tracked(url, tuple(context["message"]["utm"].items()))


WORDING = {"number": number, "day": day, "money": money, "link": link}


@lru_cache(maxsize=10_000)
def tracked(url: str, utm: tuple[tuple[str, str], ...]) -> str:
    """The link with these parameters; those that it has already stay."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    added = [(name, value) for name, value in utm if name not in dict(given)]
    return urlunsplit(parts._replace(query=urlencode([*given, *added])))


@lru_cache(maxsize=10_000)
def _number(value: int | Decimal, locale: str) -> str:
    return format_decimal(value, locale=_known(locale))


@lru_cache(maxsize=10_000)
def _money(amount: Decimal, currency: str, locale: str) -> str:
    return format_currency(amount, currency, locale=_known(locale))


@lru_cache(maxsize=10_000)
def _day(value: date, locale: str) -> str:
    return format_date(value, format="long", locale=_known(locale))


@lru_cache
def _known(locale: str) -> Any:
    try:
        return Locale.parse(locale, sep="_")
    except (UnknownLocaleError, ValueError):
        return Locale("en")
