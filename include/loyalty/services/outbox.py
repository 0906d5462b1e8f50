"""The outbox as a whole: how far its messages are, and those that are to be tried again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.store.queries import Row, query, rows


@dataclass(frozen=True)
class Outbox:
    """How many messages are how far, by campaign, state and reason."""

    rows: Sequence[Row]

    def count(self, state: str, reason: str | None = None) -> int:
        """How many are in that state, for that reason or any."""
        return sum(row["messages"] for row in self.rows if row["state"] == state and reason in (None, row["reason"]))


def outbox(connection: Connection, run_id: int | None = None) -> Outbox:
    """The outbox, of one run or of all."""
    return Outbox(rows(connection, "mail/outbox", run_id=run_id))


def settle_mail(connection: Connection, *, resend: bool) -> int:
    """No message is in the hands of a dead sender: it has failed as unsettled, or waits again. Returns how many."""
    return connection.execute(query("mail/settle"), {"resend": resend}).rowcount


def requeue_mail(connection: Connection, reason: str, run_id: int | None = None) -> int:
    """Messages that failed for this reason wait to be tried again; returns how many."""
    return connection.execute(query("mail/requeue"), {"reason": reason, "run_id": run_id}).rowcount
