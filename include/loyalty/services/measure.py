"""What the planner must know before it is asked about many."""

from sqlalchemy import Connection

from loyalty.store.queries import query


def measure_events(connection: Connection) -> None:
    """The planner knows about how many profiles the events are of, which autovacuum does not tell it.

    They are measured again where they have become a fifth more; nobody else can measure them until this has ended.
    """
    with connection.begin():
        connection.execute(query("measure_events"))


def measure_members(connection: Connection, run_id: int) -> None:
    """The planner knows how many members the run has; nobody else can measure them until this has ended."""
    with connection.begin():
        connection.execute(query("measure_members"), {"run_id": run_id})
