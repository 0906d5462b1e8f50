"""Mail: an outbox that is filled beside the points taken, and addresses that want none."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
