"""The client filter: who has promotions to be deactivated before points are taken."""

from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.services.chunks import Range
from loyalty.store.batch import take_batch
from loyalty.store.queries import query


@dataclass(frozen=True)
class Filtered:
    """Members with active promotions, and how many these are."""

    member_count: int
    promotion_count: int


def filter_clients(connection: Connection, part: Range) -> Filtered:
    """Locked members with active promotions are deactivating; promotions past their time have lapsed.

    Lock order: accounts ascending, then their activations.
    """
    if not take_batch(connection, "cancel/lock_clients", part.binds):
        return Filtered(0, 0)
    connection.execute(query("cancel/lapse_promotions"))
    filtered = Filtered(*connection.execute(query("cancel/filter_clients"), part.binds).one())
    if part.chunk.settings.engine == "events":
        connection.execute(query("cancel/tell_deactivation_requests"), part.binds)
    return filtered
