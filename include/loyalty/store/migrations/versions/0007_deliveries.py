"""Deliveries: what journeys write is told to subscribers outside, in order, until they have it."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
