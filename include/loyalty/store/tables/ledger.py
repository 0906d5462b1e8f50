"""The program, its customers, and what happened."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Identity, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from loyalty.store.tables.common import SERVER_SETS, Instant, TransactionId, metadata

program = Table(
    "program",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=SERVER_SETS),
    Column("timezone", Text, nullable=False),
    Column("allow_debt", Boolean, nullable=False),
    Column("settled_through", Date, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("applied_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("zone_since", Instant, nullable=False, server_default=SERVER_SETS),
    Column("pepper", LargeBinary, nullable=False, server_default=SERVER_SETS),
)

action = Table(
    "action",
    metadata,
    Column("action", Text, primary_key=True),
    Column("effect", Text, nullable=False),
    Column("parameter", Text),
    Column("validity_days", Integer),
    Column("feeds_rules", Boolean, nullable=False, server_default=SERVER_SETS),
    Column("is_signal", Boolean, nullable=False, server_default=SERVER_SETS),
)

profile = Table(
    "profile",
    metadata,
    Column("profile_id", BigInteger, Identity(always=True), primary_key=True),
    Column("customer_id", Text, nullable=False, unique=True),
    Column("attributes", JSONB, nullable=False, server_default=SERVER_SETS),
    Column("tags", ARRAY(Text), nullable=False, server_default=SERVER_SETS),
    Column("created_at", Instant, nullable=False, server_default=SERVER_SETS),
)
Index(
    "profile_attributes",
    profile.c.attributes,
    postgresql_using="gin",
    postgresql_ops={"attributes": "jsonb_path_ops"},
)

account = Table(
    "account",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("balance", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("booked_by", TransactionId),
    Column("latest_at", Instant),
    Column("settle_on", Date),
    Column("award_from", Instant),
    Column("lock_run_id", BigInteger),
    Column("lock_token", UUID(as_uuid=True)),
    Column("lock_expires_at", Instant),
)
Index("account_settle_on", account.c.settle_on, account.c.profile_id, postgresql_where=account.c.settle_on.is_not(None))
Index("account_award_from", account.c.profile_id, postgresql_where=account.c.award_from.is_not(None))

event = Table(
    "event",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", UUID(as_uuid=True), primary_key=True),
    Column("action", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("points", BigInteger),
    Column("params", JSONB, nullable=False, server_default=SERVER_SETS),
    Column("refers_to", UUID(as_uuid=True)),
    Column("run_id", BigInteger),
    Column("source", Text, nullable=False, server_default=SERVER_SETS),
    Column("event_id", Text),
    Column("recorded_at", Instant, nullable=False, server_default=SERVER_SETS),
    postgresql_partition_by="HASH (profile_id)",
)

forgotten_customer = Table(
    "forgotten_customer",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("forgotten_at", Instant, nullable=False, server_default=SERVER_SETS),
)
Index("forgotten_customer_digest", forgotten_customer.c.digest)

# What one transaction works on: temporary, so that no migration makes it (store/sql/clear_batch.sql does).
batch = Table("batch", MetaData(), Column("profile_id", BigInteger, primary_key=True, autoincrement=False))
