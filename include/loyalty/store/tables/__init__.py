"""The tables of the ledger as SQLAlchemy knows them, by subject; the migrations make them, a test keeps both equal."""

# All modules, so that ``metadata`` is whole.
from loyalty.store.tables import books, deliveries, front_door, mail, promotions, sources
from loyalty.store.tables.common import Instant, metadata
from loyalty.store.tables.journeys import journey_member, journey_run
from loyalty.store.tables.ledger import account, batch, event, profile

__all__ = [
    "Instant",
    "account",
    "batch",
    "books",
    "deliveries",
    "event",
    "front_door",
    "journey_member",
    "journey_run",
    "mail",
    "metadata",
    "profile",
    "promotions",
    "sources",
]
