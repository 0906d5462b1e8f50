"""Runs of journeys, their members, and how far they are."""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Identity, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from loyalty.store.tables.common import SERVER_SETS, Instant, Snapshot, metadata

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
    Column("frozen_snapshot", Snapshot),
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
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
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
    postgresql_where=journey_member.c.reason.is_not(None),
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
