"""Give each role of the database exactly what its work needs."""

from collections.abc import Sequence

from sqlalchemy import Connection

from loyalty.store.queries import query


def grant_roles(connection: Connection) -> Sequence[str]:
    """Each role that is there may do what docs/access.md says, and nothing else; returns the names of the missing."""
    connection.execute(query("roles/grant"))
    return connection.scalars(query("roles/missing")).all()


def create_roles(connection: Connection) -> None:
    """The roles loyalty_journeys, loyalty_ingest and loyalty_reader are there; as made here, they cannot log in."""
    connection.execute(query("roles/create"))
