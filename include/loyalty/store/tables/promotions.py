"""Promotions, and who activated them."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

promotion = Table(
    "promotion",
    metadata,
    Column("promotion", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("required_points", BigInteger, nullable=False),
    Column("valid_from", Date),
    Column("valid_to", Date),
    Column("valid_days", Integer),
    Column("is_offered", Boolean, nullable=False, server_default=SERVER_SETS),
)

promotion_activation = Table(
    "promotion_activation",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("activation", UUID(as_uuid=True), primary_key=True),
    Column("promotion", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default=SERVER_SETS),
    Column("activated_at", Instant, nullable=False),
    Column("lapses_at", Instant),
    Column("run_id", BigInteger),
    Column("ended_at", Instant),
)
Index(
    "promotion_activation_open",
    promotion_activation.c.profile_id,
    postgresql_where=promotion_activation.c.state.in_(("active", "deactivating")),
)
