"""The outbox, what it reminded of, and who is not to be written to."""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from loyalty.store.tables.common import SERVER_SETS, Instant, metadata

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
