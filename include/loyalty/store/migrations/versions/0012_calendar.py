"""The expiry calendar: what will expire on which day, counted once a night for whoever looks."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
