"""Count what will expire on which day, for those who look."""

from sqlalchemy import Connection

from loyalty.store.queries import query


def count_calendar(connection: Connection) -> int:
    """The expiry calendar says what is left of all earnings now, by day and kind; returns its rows."""
    return int(connection.execute(query("count_calendar")).scalar_one())
