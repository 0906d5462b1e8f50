"""The parts of the ledger: the profiles whose events lie in one partition."""

from pathlib import Path

from alembic import op

from loyalty.store.migrations import run_sql_beside

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql_beside(Path(__file__))


def downgrade() -> None:
    op.execute("DROP SCHEMA loyalty CASCADE")
