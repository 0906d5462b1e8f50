"""What the planner knows of all events together."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
