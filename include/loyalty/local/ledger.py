"""The ledger of the embedded server: made with the server, readable by those who only read."""

from sqlalchemy import Engine

from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.store.database import open_engine, transaction
from loyalty.store.schema import current_version, upgrade


def embedded_ledger(url: str) -> Engine:
    """An engine on the ledger at this URL; one that was empty has a schema now, and roles with their rights."""
    engine = open_engine(url)
    with transaction(engine) as connection:
        if current_version(connection) is None:
            upgrade(connection)
            create_roles(connection)
            grant_roles(connection)
    return engine
