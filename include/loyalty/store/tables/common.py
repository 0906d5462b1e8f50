"""What all tables have in common."""

from sqlalchemy import DateTime, FetchedValue, MetaData

metadata = MetaData(schema="loyalty")
Instant = DateTime(timezone=True)
SERVER_SETS = FetchedValue()
