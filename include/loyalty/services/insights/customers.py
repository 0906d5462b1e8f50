"""One customer, as a help desk asks: where are my points?"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.store.queries import Row, row, rows


@dataclass(frozen=True)
class CustomerView:
    """The account, what is left of each earning (soonest to expire first), and all that touched it, newest first."""

    account: Row
    lots: Sequence[Row]
    events: Sequence[Row]
    runs: Sequence[Row]
    promotions: Sequence[Row]
    mail: Sequence[Row]


def find_customers(connection: Connection, words: str, *, address_attribute: str) -> Sequence[Row]:
    """Whoever has this id or this address."""
    return rows(connection, "insights/customers_found", words=words, attribute=address_attribute)


def look_at_customer(connection: Connection, customer_id: str, *, after: int = 0, size: int) -> CustomerView | None:
    """The customer as things stand, with ``size`` events, the newest after the first ``after``; None for nobody."""
    account = row(connection, "insights/customer", customer_id=customer_id)
    if account is None:
        return None
    own = account["profile_id"]
    return CustomerView(
        account=account,
        lots=rows(connection, "profile_lots", profile_id=own),
        events=rows(connection, "insights/customer_events", profile_id=own, after=after, size=size),
        runs=rows(connection, "insights/customer_runs", profile_id=own),
        promotions=rows(connection, "insights/customer_promotions", profile_id=own),
        mail=rows(connection, "insights/customer_mail", profile_id=own),
    )
