"""The books: each day's points are counted as they are booked, and days are closed for good."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
