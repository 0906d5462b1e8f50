"""Loading many events: their indexes are put aside, and built once all are there, which is quicker by far.

They are built as loose as indexes are that have grown event by event.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from loyalty.store.database import transaction

GROWN = "WITH (fillfactor = 70)"
OWN = text("""
    SELECT index.relname AS name, pg_get_constraintdef(owner.oid) AS rule,
           replace(pg_get_indexdef(index.oid), ' ON ONLY ', ' ON ') AS statement
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    LEFT JOIN pg_constraint AS owner ON owner.conindid = indexrelid AND owner.conrelid = indrelid
    WHERE indrelid = 'loyalty.event'::regclass
""")


@contextmanager
def indexes_afterwards(engine: Engine) -> Iterator[None]:
    """What is inserted meanwhile finds no index on the events; all that there were are there again at the end."""
    with transaction(engine) as connection:
        found = connection.execute(OWN).all()
        for one in found:
            gone = (
                f"ALTER TABLE loyalty.event DROP CONSTRAINT {one.name}"
                if one.rule
                else f"DROP INDEX loyalty.{one.name}"
            )
            connection.execute(text(gone))
    yield
    with transaction(engine) as connection:
        for one in found:
            rule = f"ALTER TABLE loyalty.event ADD CONSTRAINT {one.name} {one.rule} {GROWN}"
            connection.execute(text(rule if one.rule else f"{one.statement} {GROWN}"))
