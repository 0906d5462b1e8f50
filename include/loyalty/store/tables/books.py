"""Counters of the days, closed days, and what expires when."""

from sqlalchemy import BigInteger, Column, Date, Integer, Numeric, Table, Text

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

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
