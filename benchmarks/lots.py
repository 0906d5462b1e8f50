"""Some customers, lot by lot: what must have expired, what a cancellation must have taken, and what must be left.

In plain Python, which shares nothing with the project's own code: events come in the order in which the ledger heard
of them, points are spent oldest first, and what is left of a lot expires at the first midnight that its validity has
reached.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

VALIDITY = timedelta(days=182)
LOOKED_AT = 1_000
DAWN = date(1970, 1, 1)  # before all points, and where calendars still work
EVENTS = text("""
    SELECT profile_id, action, occurred_at, event.points, spared_from
    FROM loyalty.event LEFT JOIN loyalty.journey_run USING (run_id)
    WHERE profile_id = ANY(:ids) AND event.points IS NOT NULL ORDER BY profile_id, recorded_at, occurred_at
""")
BALANCES = text("SELECT profile_id, balance FROM loyalty.account WHERE profile_id = ANY(:ids)")
PROGRAM = text("""
    SELECT timezone AS zone, settled_through, (SELECT max(profile_id) FROM loyalty.profile) AS last FROM loyalty.program
""")


def wrong_lots(connection: Connection, seed: int) -> tuple[int, list[str]]:
    """How many customers were drawn and replayed, and what is wrong with any of them."""
    program = connection.execute(PROGRAM).one()
    zone, chance = ZoneInfo(program.zone), random.Random(seed)
    settled = midnight(datetime.combine(max(program.settled_through, DAWN), time()), zone)
    ids = sorted(chance.sample(range(1, program.last + 1), min(LOOKED_AT, program.last)))
    balances = {row.profile_id: row.balance for row in connection.execute(BALANCES, {"ids": ids})}
    events = connection.execute(EVENTS, {"ids": ids}).all()
    found = []
    for who, history in groupby(events, key=lambda event: event.profile_id):
        found += [f"customer {who}: {fault}" for fault in faults_of(list(history), zone, settled, balances[who])]
    return len(balances), found


def faults_of(events: Sequence[Row], zone: ZoneInfo, settled: datetime, balance: int) -> list[str]:
    """What the ledger says otherwise than the lots of this customer."""
    lots, expired, faults = Lots(zone), Counter[datetime](), []
    for event in events:
        if event.action == "points.expire":
            expired[event.occurred_at.astimezone(UTC)] -= event.points
            continue
        lots.expire(min(event.occurred_at, settled))
        if event.action == "points.cancel" and (old := lots.older_than(event.spared_from)) != -event.points:
            faults.append(f"{-event.points} were cancelled, and {old} were old enough")
        if event.action == "points.loyalty":
            lots.earn(event.occurred_at, event.points)
        elif event.points > 0:
            lots.give_back(event.points)
        else:
            lots.spend(-event.points)
    lots.expire(settled)
    if lots.expired != expired:
        faults.append(f"{dict(expired)} expired, and {dict(lots.expired)} was due")
    if lots.held != balance:
        faults.append(f"the balance is {balance}, and {lots.held} are left in lots")
    return faults


@dataclass
class Lot:
    """Points that were earned at once: what is left of them, and what was spent."""

    due: datetime
    earned_at: datetime
    left: int
    spent: int = 0


@dataclass
class Lots:
    """The lots of one customer, those that are due first at the beginning."""

    zone: ZoneInfo
    lots: list[Lot] = field(default_factory=list)
    expired: Counter[datetime] = field(default_factory=Counter)

    @property
    def held(self) -> int:
        return sum(lot.left for lot in self.lots)

    def older_than(self, moment: datetime) -> int:
        return sum(lot.left for lot in self.lots if lot.earned_at < moment)

    def earn(self, at: datetime, points: int) -> None:
        """A lot more."""
        self.lots.append(Lot(first_midnight(at, VALIDITY, self.zone), at, points))
        self.lots.sort(key=lambda lot: lot.due)

    def spend(self, points: int) -> None:
        """Points of the oldest lots are gone."""
        for lot in self.lots:
            taken = min(points, lot.left)
            lot.left, lot.spent, points = lot.left - taken, lot.spent + taken, points - taken
        assert points == 0, "more was taken than was there"

    def give_back(self, points: int) -> None:
        """Points are again in the lots that they were spent of, the latest first."""
        for lot in reversed(self.lots):
            given = min(points, lot.spent)
            lot.left, lot.spent, points = lot.left + given, lot.spent - given, points - given
        assert points == 0, "more was given back than was spent"

    def expire(self, until: datetime) -> None:
        """What is due up to that instant has expired, at its midnights."""
        for lot in self.lots:
            if lot.due <= until and lot.left:
                self.expired[lot.due] += lot.left
                lot.left = 0


def first_midnight(at: datetime, after: timedelta, zone: ZoneInfo) -> datetime:
    """The first midnight of the zone that is no earlier than the time which clocks show so long after an instant."""
    moment = at.astimezone(zone).replace(tzinfo=None) + after
    day = datetime.combine(moment.date(), time())
    return midnight(day if moment == day else day + timedelta(days=1), zone)


def midnight(day: datetime, zone: ZoneInfo) -> datetime:
    return day.replace(tzinfo=zone).astimezone(UTC)
