"""The tables of the ledger as SQLAlchemy knows them; the migrations make them, a test keeps both equal."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(schema="loyalty")
Instant = DateTime(timezone=True)
SERVER_SETS = FetchedValue()

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
Index("event_occurred_at", event.c.profile_id, event.c.occurred_at)

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

journey_run = Table(
    "journey_run",
    metadata,
    Column("run_id", BigInteger, Identity(always=True), primary_key=True),
    Column("journey", Text, nullable=False),
    Column("run_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=SERVER_SETS),
    Column("as_of", Instant, nullable=False),
    Column("business_date", Date, nullable=False),
    Column("definitions", JSONB, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("member_count", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("points", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("shortfall", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("started_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("finished_at", Instant),
    Column("settings", JSONB, nullable=False, server_default=SERVER_SETS),
    Column("audience_of", BigInteger, ForeignKey("loyalty.journey_run.run_id")),
    Column("frozen_at", Instant),
    Column("spared_from", Instant),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("failed_count", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("returned", BigInteger, nullable=False, server_default=SERVER_SETS),
    UniqueConstraint("journey", "run_key"),
)

journey_chunk = Table(
    "journey_chunk",
    metadata,
    Column("run_id", BigInteger, ForeignKey("loyalty.journey_run.run_id"), primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("first_profile_id", BigInteger, nullable=False),
    Column("last_profile_id", BigInteger, nullable=False),
    Column("lock_deadline_at", Instant),
    Column("deactivation_deadline_at", Instant),
)

journey_member = Table(
    "journey_member",
    metadata,
    Column("run_id", BigInteger, ForeignKey("loyalty.journey_run.run_id"), primary_key=True),
    Column("profile_id", BigInteger, primary_key=True),
    Column("state", Text, nullable=False, server_default=SERVER_SETS),
    Column("reason", Text),
    Column("points", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("shortfall", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("selected_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("finished_at", Instant),
    Column("detail", Text),
    Column("approved", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("returned", BigInteger, nullable=False, server_default=SERVER_SETS),
    Column("lock_requested_at", Instant),
    Column("locked_at", Instant),
    Column("lock_expires_at", Instant),
    Column("released_at", Instant),
    Column("balance_locked", BigInteger),
    Column("balance_after", BigInteger),
)
Index(
    "journey_member_failed",
    journey_member.c.run_id,
    journey_member.c.profile_id,
    postgresql_where=journey_member.c.state == "failed",
)
Index(
    "journey_member_selected",
    journey_member.c.run_id,
    journey_member.c.profile_id,
    postgresql_where=journey_member.c.state == "selected",
)

journey_progress = Table(
    "journey_progress",
    metadata,
    Column("run_id", BigInteger, ForeignKey("loyalty.journey_run.run_id"), primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("moment", Instant, primary_key=True),
    Column("backend", Integer, primary_key=True, autoincrement=False),
    Column("member_count", BigInteger, nullable=False),
    Column("asked_count", BigInteger, nullable=False),
    Column("locked_count", BigInteger, nullable=False),
    Column("approved", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("shortfall", BigInteger, nullable=False),
    Column("balance_in", BigInteger, nullable=False),
    Column("balance_out", BigInteger, nullable=False),
)

email = Table(
    "email",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", UUID(as_uuid=True), primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("run_id", BigInteger, ForeignKey("loyalty.journey_run.run_id")),
    Column("stage", Integer),
    Column("points", BigInteger, nullable=False),
    Column("address", Text),
    Column("state", Text, nullable=False, server_default=SERVER_SETS),
    Column("reason", Text),
    Column("detail", Text),
    Column("attempts", Integer, nullable=False, server_default=SERVER_SETS),
    Column("queued_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("not_before", Instant, nullable=False, server_default=SERVER_SETS),
    Column("sender_id", Integer),
    Column("sending_at", Instant),
    Column("ended_at", Instant),
)
Index("email_queued", email.c.campaign, email.c.profile_id, email.c.key, postgresql_where=email.c.state == "queued")
Index("email_due", email.c.campaign, email.c.not_before, postgresql_where=email.c.state == "queued")
Index("email_sending", email.c.sender_id, postgresql_where=email.c.state == "sending")
Index("email_of_run", email.c.run_id, email.c.state)

email_progress = Table(
    "email_progress",
    metadata,
    Column("run_id", BigInteger, ForeignKey("loyalty.journey_run.run_id"), primary_key=True),
    Column("campaign", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("backend", Integer, primary_key=True, autoincrement=False),
    Column("message_count", BigInteger, nullable=False),
)

reminder = Table(
    "reminder",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("due_on", Date, primary_key=True),
    Column("stage", Integer, primary_key=True, autoincrement=False),
    Column("points", BigInteger, nullable=False),
    Column("email_key", UUID(as_uuid=True), nullable=False),
)
Index("reminder_of_email", reminder.c.profile_id, reminder.c.email_key)

email_suppression = Table(
    "email_suppression",
    metadata,
    Column("address", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("suppressed_at", Instant, nullable=False, server_default=SERVER_SETS),
)

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

forgotten_customer = Table(
    "forgotten_customer",
    metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("forgotten_at", Instant, nullable=False, server_default=SERVER_SETS),
)
Index("forgotten_customer_digest", forgotten_customer.c.digest)

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

points_flow = Table(
    "points_flow",
    metadata,
    Column("day", Date, primary_key=True),
    Column("effect", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("points", BigInteger, nullable=False),
    Column("event_count", BigInteger, nullable=False),
)

daily_close = Table(
    "daily_close",
    metadata,
    Column("day", Date, primary_key=True),
    Column("opening", BigInteger, nullable=False),
    Column("prior_days", BigInteger, nullable=False),
    Column("earned", BigInteger, nullable=False),
    Column("reversed", BigInteger, nullable=False),
    Column("redeemed", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("restored", BigInteger, nullable=False),
    Column("adjusted", BigInteger, nullable=False),
    Column("closing", BigInteger, nullable=False),
    Column("debts", BigInteger, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("point_value", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("revalued", Numeric, nullable=False),
    Column("program_fingerprint", Text, nullable=False),
    Column("closed_at", Instant, nullable=False, server_default=SERVER_SETS),
    Column("fingerprint", Text, nullable=False, server_default=SERVER_SETS),
)

daily_close_ageing = Table(
    "daily_close_ageing",
    metadata,
    Column("day", Date, primary_key=True),
    Column("due_month", Date, primary_key=True),
    Column("points", BigInteger, nullable=False),
)

daily_close_cohort = Table(
    "daily_close_cohort",
    metadata,
    Column("day", Date, primary_key=True),
    Column("earned_month", Date, primary_key=True),
    Column("earned", BigInteger, nullable=False),
    Column("redeemed", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
)

expiry_calendar = Table(
    "expiry_calendar",
    metadata,
    Column("due_on", Date, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("counted_at", Instant, nullable=False),
)

# What one transaction works on: temporary, so that no migration makes it (store/sql/clear_batch.sql does).
batch = Table("batch", MetaData(), Column("profile_id", BigInteger, primary_key=True, autoincrement=False))
