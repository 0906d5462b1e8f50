"""Remove who a customer was, and leave every sum of points as it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.refusals import RefusedError, refusals
from loyalty.store.queries import query


@dataclass(frozen=True)
class Forgotten:
    """The profile that has no name any more, since when, and whether that was done just now."""

    profile_id: int
    forgotten_at: datetime
    is_news: bool


def forget_customer(connection: Connection, customer_id: str) -> Forgotten:
    """Nothing here identifies the customer any more but to somebody who knows the id; again changes nothing.

    Refused while the earning rules have not seen all events, whose parameters they read. Lock order: the one account.
    """
    try:
        with refusals():
            found = Forgotten(*connection.execute(query("forget_customer"), {"customer": customer_id}).one())
    except RefusedError as error:
        raise LoyaltyError(f"{error}: run `loyalty award` first") from None
    if found.profile_id is None:
        raise LoyaltyError(f"no customer {customer_id!r} is known, and none of that id was forgotten")
    return found
