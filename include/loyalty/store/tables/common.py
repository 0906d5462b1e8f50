"""What all tables have in common."""

from sqlalchemy import DateTime, FetchedValue, MetaData
from sqlalchemy.types import UserDefinedType

metadata = MetaData(schema="loyalty")
Instant = DateTime(timezone=True)
SERVER_SETS = FetchedValue()


class TransactionId(UserDefinedType[str]):
    """The number of a transaction, as PostgreSQL's xid8; SQLAlchemy has no name for it."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


class Snapshot(UserDefinedType[str]):
    """The transactions that a statement sees, as PostgreSQL's pg_snapshot; SQLAlchemy has no name for it."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_snapshot"
