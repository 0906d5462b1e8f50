"""What the books say: days, months, ageing, cohorts. It only reads."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby

from sqlalchemy import Connection

from loyalty.store.queries import Row, query, rows

FLOWS = (
    "prior_days",
    "earned",
    "reversed",
    "redeemed",
    "returned",
    "expired",
    "cancelled",
    "restored",
    "adjusted",
)
POINTS = ("opening", *FLOWS, "closing", "debts")
MONEY = ("opening_money", "revalued_money", *(f"{name}_money" for name in FLOWS), "closing_money")
DAY = ("day", *POINTS, "event_count", "point_value", "currency", *MONEY, "closed_at", "fingerprint")
MONTH = ("month", *POINTS, "days", "currency", *MONEY)
AGEING = ("day", "due_month", "points", "money", "currency")
COHORT = (
    "earned_month",
    "earned",
    "redeemed",
    "expired",
    "cancelled",
    "remaining",
    "redemption_rate",
    "breakage_rate",
)


def closed_days(connection: Connection, first: date | None = None, last: date | None = None) -> list[Row]:
    """The closed days from the first to the last (None: of all), in points and money."""
    return rows(connection, "books/days", first=first, last=last)


def months(days: Sequence[Row]) -> list[Row]:
    """The same by month: the first opening, the last closing, and the sums of what moved between them.

    A month in which the currency changed is two rows.
    """
    by_month = groupby(days, key=lambda row: (f"{row['day']:%Y-%m}", row["currency"]))
    return [_month(month, list(found)) for (month, _), found in by_month]


def ageing(connection: Connection, first: date | None, last: date | None) -> list[Row]:
    """When what was held at the end of each closed day falls due, by month; None: never."""
    return rows(connection, "books/ageing", first=first, last=last)


def cohorts(connection: Connection, day: date | None = None) -> list[Row]:
    """What became of each month's points, as of the latest close that is not after the day."""
    return rows(connection, "books/cohorts", day=day)


def last_closed(connection: Connection, up_to: date | None = None) -> date | None:
    """The last closed day, or the last of those up to a day; None where there is none."""
    day: date | None = connection.scalar(query("books/last_closed"), {"last": up_to})
    return day


def _month(month: str, days: list[Row]) -> Row:
    first, last = days[0], days[-1]
    summed = {name: sum(row[name] for row in days) for name in (*FLOWS, *(f"{name}_money" for name in FLOWS))}
    return {
        "month": month,
        "opening": first["opening"],
        **summed,
        "closing": last["closing"],
        "debts": last["debts"],
        "days": len(days),
        "currency": last["currency"],
        "opening_money": first["opening_money"],
        "revalued_money": sum((row["revalued_money"] for row in days), Decimal(0)),
        "closing_money": last["closing_money"],
    }
