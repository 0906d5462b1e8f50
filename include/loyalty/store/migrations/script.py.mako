"""${message}."""

from pathlib import Path

from loyalty.store.migrations import run_sql_beside

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    run_sql_beside(Path(__file__))
