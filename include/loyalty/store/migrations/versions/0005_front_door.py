"""The front door: who may tell events and ask about customers, and by which key."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
