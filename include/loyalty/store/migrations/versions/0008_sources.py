"""Sources: events that another PostgreSQL holds, and how far they have been read."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
