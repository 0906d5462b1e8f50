"""The front door: how events come in, by a file or by a request, and who may tell which."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
