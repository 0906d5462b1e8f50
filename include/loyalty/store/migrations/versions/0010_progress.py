"""Progress: how far every run is, kept as it goes."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
