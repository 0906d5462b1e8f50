"""What may go: events that nothing needs; and how events may be made to say less of a customer."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
