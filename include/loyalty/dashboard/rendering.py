"""Templates, and how numbers, times and words look to the reader."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_timedelta, get_timezone_name
from babel.numbers import format_currency, format_decimal, format_percent
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

DASH = Markup("&ndash;")
ENVIRONMENT = Environment(
    loader=PackageLoader("loyalty.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Reader:
    """How one reader sees numbers and times: by the locale of the request, and in the zone of the program."""

    def __init__(self, accept_language: str, zone: ZoneInfo) -> None:
        self.locale, self.zone = locale_of(accept_language), zone

    def number(self, value: float | Decimal | None) -> Markup:
        """A number with the digits grouped; the machine-readable one beside it."""
        if value is None:
            return DASH
        return Markup('<data value="{}">{}</data>').format(value, format_decimal(value, locale=self.locale))

    def money(self, value: Decimal | None, currency: str) -> Markup:
        """An amount of money."""
        if value is None:
            return DASH
        return Markup('<data value="{}">{}</data>').format(value, format_currency(value, currency, locale=self.locale))

    def share(self, part: float, whole: float) -> str:
        """A part of a whole as a percentage; of nothing it is nothing."""
        return format_percent(part / whole, "#,##0.#%", locale=self.locale) if whole else DASH

    def time(self, moment: datetime | None) -> Markup:
        """A moment in the program's zone."""
        if moment is None:
            return DASH
        shown = format_datetime(moment, "medium", tzinfo=self.zone, locale=self.locale)
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), shown)

    def day(self, day: date | None) -> Markup:
        """A day."""
        if day is None:
            return DASH
        return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), format_date(day, locale=self.locale))

    def span(self, length: timedelta | None) -> str:
        """A length of time, roughly."""
        if length is None:
            return DASH
        if length < timedelta(minutes=2):
            return f"{length.total_seconds():.0f} s"
        return format_timedelta(length, threshold=1.5, locale=self.locale)

    @property
    def zone_name(self) -> str:
        """What the zone is called."""
        return f"{self.zone.key} ({get_timezone_name(datetime.now(self.zone), 'short', locale=self.locale)})"


def locale_of(accept_language: str) -> Locale:
    """The first locale that the reader accepts and that is known; English for none."""
    for wish in accept_language.split(","):
        try:
            return Locale.parse(wish.split(";")[0].strip(), sep="-")
        except (ValueError, UnknownLocaleError, TypeError):
            continue
    return Locale("en")


def render(template: str, reader: Reader, context: Mapping[str, Any]) -> str:
    """The page as HTML."""
    return ENVIRONMENT.get_template(template).render(context, reader=reader)
