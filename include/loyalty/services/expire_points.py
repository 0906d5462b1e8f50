"""Settle the members of a run: write what their midnights demand and the ledger lacks."""

from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.model.mail import NO_MAIL, Mail
from loyalty.services.queue_mail import queue_mail
from loyalty.store.queries import query


@dataclass(frozen=True)
class Batch:
    """How many members one transaction settled, and the points it took from them, net of those given back."""

    member_count: int
    points: int


def expire_points(connection: Connection, run_id: int, mail: Mail = NO_MAIL) -> Batch:
    """The members of the run that are in the batch are settled (see docs/settlement.md).

    Who has lost points has the messages in the outbox that the campaigns owe.
    """
    row = connection.execute(query("expire_points"), {"run_id": run_id}).one()
    queue_mail(connection, mail, "rolling_expiry", run_id)
    return Batch(row.member_count, row.points)
