"""The program as a whole: whose days it counts, what a point is worth, how far it is settled."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.store.queries import Row, query, row, rows

NEVER = date(1, 1, 1)


@dataclass(frozen=True)
class ProgramView:
    """The program that the ledger works by, and the present: ``now``, which is the day ``today`` there."""

    name: str
    timezone: str
    currency: str
    point_value: Decimal
    ends_on: date | None
    fingerprint: str
    settled_through: date
    now: datetime
    today: date

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose midnights count."""
        return ZoneInfo(self.timezone)

    @property
    def last_day(self) -> date:
        """The day up to which there is news: today, or the day last settled of a program that has ended."""
        ended = self.ends_on is not None and self.ends_on < self.today and self.settled_through > NEVER
        return self.settled_through if ended else self.today

    @property
    def missing_days(self) -> tuple[date, date] | None:
        """The first and the last midnight that has passed and is not settled; None where all are, or none ever was."""
        last = min(self.today, self.ends_on) if self.ends_on else self.today
        first = self.settled_through + timedelta(days=1)
        return (first, last) if self.settled_through > NEVER and first <= last else None


def look_at_program(connection: Connection) -> ProgramView:
    """The program as it is now."""
    found = row(connection, "insights/program")
    if found is None or found["name"] is None:
        raise LoyaltyError("the ledger keeps to no program yet: any command makes it, like `loyalty program apply`")
    return ProgramView(**found)


def last_runs(connection: Connection, *, size: int, journey: str | None = None) -> list[Row]:
    """The newest runs, newest first."""
    return rows(connection, "insights/last_runs", size=size, journey=journey)


def under_way(connection: Connection) -> Row:
    """How many accounts are ``locked`` by runs under way, and of how many a lock is ``asked``."""
    return row(connection, "insights/under_way") or {}


def outstanding(connection: Connection) -> int:
    """Points that all customers hold."""
    return int(connection.scalar(query("insights/outstanding")) or 0)


def months(connection: Connection) -> list[Row]:
    """Each month's points earned, redeemed, expired, cancelled and adjusted, net, and those held at its end."""
    return rows(connection, "insights/months")


def calendar(connection: Connection, *, after: date, days: int) -> list[Row]:
    """What expires on which day after ``after``, by kind, as it was counted last."""
    return rows(connection, "insights/calendar", after=after, days=days)


def last_close(connection: Connection) -> Row | None:
    """The newest closed day of the books."""
    return row(connection, "insights/last_close")
