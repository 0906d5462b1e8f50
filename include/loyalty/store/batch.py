"""The profiles that one transaction works on."""

from collections.abc import Mapping

from sqlalchemy import Connection

from loyalty.store.queries import query


def take_batch(connection: Connection, name: str, binds: Mapping[str, object]) -> int:
    """The profiles that the statement finds stand in the table ``batch`` until the commit; returns how many they are.

    The statement locks their accounts in ascending order: whatever reads after it sees what their lockers wrote.
    """
    connection.execute(query("clear_batch"))
    count = connection.execute(query(name), binds).rowcount
    if count:
        connection.execute(query("measure_batch"))
    return count
