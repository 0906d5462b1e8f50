"""The last part of the demonstration: the books of every day, held against the months and the balances."""

import csv
import json
from datetime import timedelta

from loyalty.errors import LoyaltyError
from loyalty.local.demo_rolling import FIRST, LAST
from loyalty.local.stage import Stage


def show_books(stage: Stage) -> None:
    """Every day of the purchase log is closed, and agrees with the roll-forward and with the balances to the point."""
    stage.tell("The books: every day closed for good")
    days = json.loads(stage.loyalty("close", "--from", str(FIRST), "--to", str(LAST), "--format", "json", echo=False))
    booked = json.loads(stage.loyalty("books", "--by", "month", "--format", "json", echo=False))
    rolled = json.loads(stage.loyalty("rollforward", "--format", "json", echo=False))
    _compare("rollforward", [_month(row) for row in booked], rolled[: len(booked)])
    held = stage.loyalty("balances", "--as-of", str(LAST + timedelta(days=1)), "--format", "csv", echo=False)
    _compare("balances", days[-1]["closing"], sum(int(row["balance"]) for row in csv.DictReader(held.splitlines())))
    stage.loyalty("reconcile", echo=False)
    last = days[-1]
    stage.say(
        f"{len(days)} days closed, {last['day']} with {last['closing']:,} points = {last['currency']} "
        f"{last['closing_money']}: books, rollforward, balances and reconcile agree to the point"
    )


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
        raise LoyaltyError(f"the books say {books}, and `loyalty {name}` says {other}")
