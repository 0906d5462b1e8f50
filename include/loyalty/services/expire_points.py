"""Settle the members of a run: write what their midnights demand and the ledger lacks."""

from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.model.mail import NO_MAIL, Mail
from loyalty.services.queue_mail import queue_mail
from loyalty.store.queries import query


@dataclass(frozen=True)
class Batch:
    """How many members one transaction settled, the points it took from them, net of those given back, and the last."""

    member_count: int
    points: int
    bound: int


def expire_points(connection: Connection, run_id: int, after: int, *, size: int, mail: Mail = NO_MAIL) -> Batch:
    """The next ``size`` waiting members after that profile are settled (see docs/settlement.md); none when none waits.

    Who has lost points has the messages in the outbox that the campaigns owe.
    Lock order: accounts ascending, in a statement of its own before the one that reads their events.
    """
    connection.execute(query("one_settler"))
    connection.execute(query("clear_batch"))
    if connection.execute(query("lock_batch"), {"run_id": run_id, "after": after, "size": size}).rowcount == 0:
        return Batch(0, 0, after)
    connection.execute(query("measure_batch"))
    row = connection.execute(query("expire_points"), {"run_id": run_id}).one()
    queue_mail(connection, mail, "rolling_expiry", run_id)
    return Batch(row.member_count, row.points, connection.execute(query("batch_bound")).scalar_one())
