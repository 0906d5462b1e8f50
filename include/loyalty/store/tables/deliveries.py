"""Who is told of events, and what waits to be told."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

subscriber = Table(
    "subscriber",
    metadata,
    Column("subscriber", Text, primary_key=True),
    Column("actions", ARRAY(Text), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=SERVER_SETS),
    Column("delivered", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("last_delivered_at", Instant),
)

delivery = Table(
    "delivery",
    metadata,
    Column("subscriber", Text, ForeignKey("loyalty.subscriber.subscriber"), primary_key=True),
    Column("n", BigInteger, Identity(always=True), primary_key=True),
    Column("profile_id", BigInteger, nullable=False),
    Column("key", UUID(as_uuid=True), nullable=False),
    Column("is_dead", Boolean, nullable=False, server_default=SERVER_SETS),
    Column("attempts", Integer, nullable=False, server_default=SERVER_SETS),
    Column("was_refused", Boolean, nullable=False, server_default=SERVER_SETS),
    Column("not_before", Instant),
    Column("first_tried_at", Instant),
    Column("fault", Text),
)
Index("delivery_waiting", delivery.c.subscriber, delivery.c.n, postgresql_where=~delivery.c.is_dead)
