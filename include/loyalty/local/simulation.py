"""The demonstration's customers, played in plain Python: what they redeem, and what must expire when.

It shares no code and no SQL with the ledger, so that both can be held against each other.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

VALIDITY = timedelta(days=182)
REWARD = 100
Days = Mapping[date, int]


@dataclass(frozen=True)
class Story:
    """One customer's points by day: earned by purchases, redeemed in full hundreds, expired at midnights."""

    earned: Days
    redeemed: Days
    expired: Days

    @property
    def closing(self) -> int:
        """What is left at the end of it."""
        return sum(self.earned.values()) - sum(self.redeemed.values()) - sum(self.expired.values())


def read_points(purchases: Path) -> dict[str, dict[date, int]]:
    """Whole dollars of each purchase, summed by customer and day."""
    points: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    with purchases.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = datetime.fromisoformat(row["occurred_at"]).date()
            points[row["customer_id"]][day] += int(Decimal(row["$totalAmount"]))
    return points


def play(earned: Days, last: date, *, redeems: bool = True) -> Story:
    """On each day: what is due and not redeemed expires, then purchases earn, then every full hundred is redeemed."""
    redeemed: dict[date, int] = {}
    expired: dict[date, int] = {}
    for day in sorted({*earned, *(bought + VALIDITY for bought in earned)}):
        if day > last:
            break
        due = sum(points for bought, points in earned.items() if bought + VALIDITY <= day)
        lapsed = due - sum(redeemed.values()) - sum(expired.values())
        if lapsed > 0:
            expired[day] = lapsed
        if redeems and day in earned:
            so_far = sum(points for bought, points in earned.items() if bought <= day)
            rewards = (so_far - sum(redeemed.values()) - sum(expired.values())) // REWARD
            if rewards:
                redeemed[day] = rewards * REWARD
    return Story(earned, redeemed, expired)


def play_all(purchases: Path, last: date) -> dict[str, Story]:
    """Every customer's story up to and with the day ``last``."""
    return {customer: play(earned, last) for customer, earned in read_points(purchases).items()}


def write_redemptions(stories: Mapping[str, Story], target: Path) -> None:
    """``target`` has one event for each redemption, at noon of its day, ready to be imported."""
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["customer_id", "action", "occurred_at", "promotionRequireRedeemedPoints"])
        writer.writerows(_redemptions(stories))


def _redemptions(stories: Mapping[str, Story]) -> Iterator[tuple[str, str, str, int]]:
    for customer, story in stories.items():
        for day, points in story.redeemed.items():
            yield customer, "client.activatePromotion", f"{day}T12:00:00+00:00", points
