"""Forgetting: who a customer was goes, and every sum of points stays."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
