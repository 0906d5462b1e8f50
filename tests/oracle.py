"""Settles one profile midnight by midnight in plain Python: no SQL, nothing of the project's own code.

It follows the definition to the letter, instant by instant and day by day, and is slow.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Entry:
    """``side`` is collected or used; ``points`` move it; ``lives`` days (None: for ever) count from ``earned_at``."""

    at: datetime
    side: str
    points: int
    lives: int | None = None
    earned_at: datetime | None = None


def first_instant(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks of the zone show the (naive) moment, or would, had they not skipped it."""
    return moment.replace(tzinfo=zone, fold=0).astimezone(UTC)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return first_instant(datetime.combine(day, time()), zone)


def due_at(earned_at: datetime, lives: int, zone: ZoneInfo) -> datetime:
    return first_instant(earned_at.astimezone(zone).replace(tzinfo=None) + timedelta(days=lives), zone)


def settle(entries: Iterable[Entry], horizon: date, zone: ZoneInfo) -> dict[date, int]:
    """What expires at each midnight up to ``horizon``, days on which nothing does left out."""
    known = list(entries)
    if not known:
        return {}
    moments = sorted({entry.at for entry in known})
    held = {moment: _flow(known, before_or_at=moment) for moment in moments}
    expired, nights = 0, {}
    first = min(known, key=lambda entry: entry.at).at.astimezone(zone).date()
    for day in days_of(zone, since=first, until=horizon):
        now = midnight(day, zone)
        matured = sum(e.points for e in known if e.side == "collected" and _matured(e, now, zone))
        used = sum(e.points for e in known if e.side == "used" and e.at < now)
        before = max((moment for moment in moments if moment < now), default=None)
        levels = [held[before] if before else 0, *(held[moment] for moment in moments if moment >= now)]
        by_now = max(0, expired, min(matured - used, min(levels)))
        if by_now != expired:
            nights[day] = by_now - expired
        expired = by_now
    return nights


def days_of(zone: ZoneInfo, since: date, until: date) -> Iterator[date]:
    """The days that the zone's calendar has: a zone that crosses the date line may skip one."""
    for n in range((until - since).days + 1):
        day = since + timedelta(days=n)
        if midnight(day, zone).astimezone(zone).date() == day:
            yield day


def _flow(entries: list[Entry], before_or_at: datetime) -> int:
    return sum(e.points if e.side == "collected" else -e.points for e in entries if e.at <= before_or_at)


def _matured(entry: Entry, now: datetime, zone: ZoneInfo) -> bool:
    if entry.lives is None:
        return False
    reversal_is_known = entry.earned_at is None or entry.at < now
    return reversal_is_known and due_at(entry.earned_at or entry.at, entry.lives, zone) <= now
