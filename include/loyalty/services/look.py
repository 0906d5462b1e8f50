"""What people ask of the ledger: balances, a customer, what will expire, how the months went. It only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.store.queries import Row, row, rows


@dataclass(frozen=True)
class ProfileView:
    """One customer: the account, the lots (soonest to expire first) and the events (oldest first)."""

    account: Row
    lots: Sequence[Row]
    events: Sequence[Row]


def balances(connection: Connection, as_of: datetime | None) -> Sequence[Row]:
    """Each customer's collected, redeemed, expired and cancelled points and the balance, as of an instant."""
    return rows(connection, "balances", as_of=as_of)


def rollforward(connection: Connection) -> Sequence[Row]:
    """Each month's opening, earned, redeemed, expired, other and closing points of the whole program."""
    return rows(connection, "rollforward")


def upcoming(connection: Connection, *, after: date | None, days: int) -> Sequence[Row]:
    """How many points of how many customers expire on which day, within ``days`` of the day last settled."""
    return rows(connection, "upcoming", after=after, days=days)


def find_profile(connection: Connection, customer_id: str) -> Row:
    """The customer's profile and account; an unknown one is said."""
    found = row(connection, "find_profile", customer_id=customer_id)
    if found is None:
        raise LoyaltyError(f"no customer {customer_id!r} is known")
    return found


def look_at_profile(connection: Connection, customer_id: str) -> ProfileView:
    """Everything about one customer."""
    account = find_profile(connection, customer_id)
    profile_id = account["profile_id"]
    return ProfileView(
        account=account,
        lots=rows(connection, "profile_lots", profile_id=profile_id),
        events=rows(connection, "profile_events", profile_id=profile_id),
    )
