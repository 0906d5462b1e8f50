"""Other databases that events come from, and what of theirs is no event."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

event_source = Table(
    "event_source",
    metadata,
    Column("source", Text, primary_key=True),
    Column("watermark", Text),
    Column("stored", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("synced_at", Instant),
)

sync_rejection = Table(
    "sync_rejection",
    metadata,
    Column("source", Text, ForeignKey("loyalty.event_source.source"), primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("row", JSONB, nullable=False),
    Column("first_seen_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("last_seen_at", Instant, nullable=False, server_default=SERVER_SETS),
)
