"""Intake: what a file, a request or another database tells becomes events, each once, or is rejected for a reason."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
