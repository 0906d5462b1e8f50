"""Keys to the events API, and what was asked with them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

api_key = Table(
    "api_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("title", Text, nullable=False),
    Column("customer_id", Text),
    Column("allows", ARRAY(Text)),
    Column("denies", ARRAY(Text), nullable=False, server_default=SERVER_SETS),
    Column("per_minute", Integer),
    Column("created_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

api_key_use = Table(
    "api_key_use",
    metadata,
    Column("key_id", Text, ForeignKey("loyalty.api_key.key_id"), primary_key=True),
    Column("minute", Instant, nullable=False),
    Column("units", BigInteger, nullable=False),
)
