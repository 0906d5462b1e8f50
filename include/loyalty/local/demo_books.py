"""The third part of the demonstration: the books of every day, held against the months and the balances."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from datetime import date, timedelta

from loyalty.errors import LoyaltyError
from loyalty.local.demo_rolling import FIRST, LAST
from loyalty.local.simulation import Story
from loyalty.local.stage import Stage


def begin_books(stage: Stage) -> Future[str]:
    """The days of the purchase log are being closed, beside what comes next; returns them, as JSON, when they are."""
    stage.tell("The books: every day is closed for good, while the next step goes on")
    words = ("close", "--from", str(FIRST), "--to", str(LAST), "--format", "json")
    return stage.meanwhile(lambda: stage.loyalty(*words, echo=False))


def show_books(stage: Stage, stories: Mapping[str, Story], closing: Future[str]) -> None:
    """Every day of the purchase log is closed, and is to the point what simulation, months and balances say."""
    stage.tell("The books of every day, held against what else tells of it")
    days = json.loads(closing.result())
    _compare("the simulation", [_moved(day) for day in days], list(_simulated(stories)))
    booked = json.loads(stage.loyalty("books", "--by", "month", "--format", "json", echo=False))
    rolled = json.loads(stage.loyalty("rollforward", "--format", "json", echo=False))
    _compare("`loyalty rollforward`", [_month(row) for row in booked], rolled[: len(booked)])
    held = stage.loyalty("balances", "--as-of", str(LAST + timedelta(days=1)), "--format", "csv", echo=False)
    _compare(
        "`loyalty balances`", days[-1]["closing"], sum(int(row["balance"]) for row in csv.DictReader(held.splitlines()))
    )
    last = days[-1]
    stage.say(
        f"{len(days)} days closed, {last['day']} with {last['closing']:,} points = {last['currency']} "
        f"{last['closing_money']}: books, simulation, months and balances agree on every day, to the point"
    )


def _moved(row: Mapping[str, object]) -> tuple[object, ...]:
    """What moved on a day of the books, and what was held at its end."""
    return tuple(row[name] for name in ("day", "earned", "redeemed", "expired", "closing"))


def _simulated(stories: Mapping[str, Story]) -> Iterator[tuple[object, ...]]:
    """The same of every day, by plain Python."""
    earned, redeemed, expired = (Counter[date]() for _ in range(3))
    for story in stories.values():
        earned.update(story.earned)
        redeemed.update(story.redeemed)
        expired.update(story.expired)
    closing = 0
    for n in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=n)
        closing += earned[day] - redeemed[day] - expired[day]
        yield str(day), earned[day], redeemed[day], expired[day], closing


def _month(row: dict[str, int]) -> dict[str, int]:
    """The month of the books in the columns of the roll-forward."""
    return {
        "month": row["month"],
        "opening": row["opening"],
        "earned": row["earned"] - row["reversed"],
        "redeemed": row["redeemed"] - row["returned"],
        "expired": row["expired"],
        "other": row["cancelled"] - row["restored"] - row["adjusted"] - row["prior_days"],
        "closing": row["closing"],
    }


def _compare(name: str, books: object, other: object) -> None:
    if books != other:
        raise LoyaltyError(f"the books say {books}, and {name} says {other}")
