"""The books of a small ledger in plain Python, point by point: it reads the events, and nothing else is shared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

import oracle

NEVER, UNEARNED = date(9999, 12, 1), date(1, 1, 1)
EVENTS = text("SELECT * FROM loyalty.event WHERE points IS NOT NULL ORDER BY profile_id, occurred_at, key")
EFFECTS = {
    "points.reverse": "reversed",
    "client.activatePromotion": "redeemed",
    "client.deactivatePromotion": "returned",
    "points.expire": "expired",
    "points.cancel": "cancelled",
    "points.restore": "restored",
    "points.adjust": "adjusted",
}
UP = {"earned", "returned", "restored", "adjusted"}


def book_day(at: datetime, zone: ZoneInfo) -> date:
    """The day whose midnight is the last one not after the moment."""
    day = at.astimezone(zone).date() + timedelta(days=2)
    while oracle.midnight(day, zone) > at:
        day -= timedelta(days=1)
    return day


def first_midnight(at: datetime, zone: ZoneInfo) -> date:
    """The day whose midnight is the first one not before the moment."""
    day = at.astimezone(zone).date()
    while oracle.midnight(day, zone) < at:
        day += timedelta(days=1)
    return day


@dataclass
class Life:
    """One customer: the points that lots hold, one by one, and the losses in the order of time."""

    lots: dict[Any, list[Any]] = field(default_factory=dict)  # key: [due, earned_at, points]
    losses: list[tuple[datetime, bool, Any, str, int]] = field(default_factory=list)

    def points(self) -> list[tuple[date, date]]:
        """Of each point its due month and earning month, soonest due first."""
        stack = sorted((due or date.max, at, str(key), n) for key, (due, at, n) in self.lots.items())
        return [(due, at) for due, at, _, n in stack for _ in range(n)]


class Ledger:
    """What the books of this ledger must say, from all that is recorded now."""

    def __init__(self, connection: Connection, zone: str, lives: Mapping[str, int | None]) -> None:
        self.zone, self.lives = ZoneInfo(zone), lives
        self.events = [dict(row) for row in connection.execute(EVENTS).mappings()]
        self.by_key = {(e["profile_id"], e["key"]): e for e in self.events}

    def flows(self, day: date) -> Counter[str]:
        """The columns of the day's row, of its own events."""
        found = Counter[str]()
        for event in self.events:
            if book_day(event["occurred_at"], self.zone) == day:
                name = self.column(event)
                found[name] += event["points"] if name in UP else -event["points"]
        return found

    def level(self, day: date) -> int:
        """What all customers hold at the end of the day."""
        return sum(e["points"] for e in self.until(day))

    def until(self, day: date) -> list[dict[str, Any]]:
        end = oracle.midnight(day + timedelta(days=1), self.zone)
        return [e for e in self.events if e["occurred_at"] < end]

    def column(self, event: Mapping[str, Any]) -> str:
        name = EFFECTS.get(event["action"], "earned")
        return "expired" if name == "restored" and self.target(event)["action"] == "points.expire" else name

    def target(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return self.by_key[event["profile_id"], event["refers_to"]]

    def ageing(self, day: date) -> tuple[dict[date, int], int]:
        """Points by due month, and the debts."""
        found, debts = Counter[date](), 0
        for life in self._lives(day).values():
            points, lost = life.points(), sum(loss[4] for loss in life.losses)
            debts += max(0, lost - len(points))
            found[UNEARNED] += max(0, -lost)
            for due, _ in points[max(0, lost) :]:
                found[NEVER if due == date.max else due.replace(day=1)] += 1
        return {month: n for month, n in found.items() if n}, debts

    def cohorts(self, day: date) -> dict[date, tuple[int, int, int, int, int]]:
        """Earned, redeemed, expired, cancelled and remaining of each earning month."""
        earned, kept = Counter[date](), Counter[date]()
        taken: dict[str, Counter[date]] = {name: Counter() for name in ("redeemed", "expired", "cancelled")}
        for life in self._lives(day).values():
            points, place = [at for _, at in life.points()], 0
            months = [at.replace(day=1) for at in points]
            earned.update(months)
            for _, _, _, kind, size in sorted(life.losses, key=lambda loss: (loss[0], not loss[1], str(loss[2]))):
                step = 1 if size > 0 else -1
                for _ in range(abs(size)):
                    at = place if step > 0 else place - 1
                    taken[kind][months[at] if 0 <= at < len(months) else UNEARNED] += step
                    place += step
        for month in {UNEARNED, *earned}:
            kept[month] = earned[month] - sum(one[month] for one in taken.values())
        rows = {m: (earned[m], *(one[m] for one in taken.values()), kept[m]) for m in kept}
        return {month: row for month, row in rows.items() if any(row)}

    def _lives(self, day: date) -> dict[int, Life]:
        found: dict[int, Life] = {}
        for event in self.until(day):
            life = found.setdefault(event["profile_id"], Life())
            lot, kind = self._place(event)
            due, begins = self._terms(self.by_key[event["profile_id"], lot]) if lot else (None, day)
            # What is taken from a lot before there is one is a loss until then.
            if lot is None or (event["points"] < 0 and begins > day):
                losing = -event["points"]
                life.losses.append((event["occurred_at"], kind == "expired", event["key"], kind or "redeemed", losing))
            else:
                life.lots.setdefault(lot, [due, begins, 0])[2] += event["points"]
        return found

    def _place(self, event: Mapping[str, Any]) -> tuple[Any, str]:
        """The lot that the event adds to or takes from; or none, and the kind of loss it is."""
        name = self.column(event)
        if name == "earned":
            return event["key"], ""
        if name == "reversed":
            return event["refers_to"], ""
        if name == "adjusted" and event["refers_to"] is not None and self.column(self.target(event)) == "earned":
            return event["refers_to"], ""
        if name == "adjusted" and event["points"] > 0:
            return event["key"], ""
        return None, {"expired": "expired", "cancelled": "cancelled", "restored": "cancelled"}.get(name, "redeemed")

    def _terms(self, lot: Mapping[str, Any]) -> tuple[date | None, date]:
        at = lot["occurred_at"]
        day = book_day(at, self.zone)
        if lot["action"] == "points.adjust":
            due = lot["params"].get("expires_on")
            return (date.fromisoformat(due) if due else None), day
        lives = self.lives[lot["action"]]
        return (None if lives is None else first_midnight(oracle.due_at(at, lives, self.zone), self.zone)), day


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def rows_of(connection: Connection, table: str, day: date) -> Sequence[Any]:
    return connection.execute(text(f"SELECT * FROM loyalty.{table} WHERE day = :day ORDER BY 2"), {"day": day}).all()
