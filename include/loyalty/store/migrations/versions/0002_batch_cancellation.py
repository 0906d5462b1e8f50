"""Batch cancellation: promotions, locks, chunks, and how far each member of a run is."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
