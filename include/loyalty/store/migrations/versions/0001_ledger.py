"""The ledger: profiles, events, accounts, journeys."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
