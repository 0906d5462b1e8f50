"""Take the points: the amount computed again under the lock, once for each member and run."""

from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.model.mail import NO_MAIL, Mail
from loyalty.services.chunks import Range
from loyalty.services.queue_mail import queue_mail
from loyalty.store.batch import take_batch
from loyalty.store.queries import query


@dataclass(frozen=True)
class Deducted:
    """Members completed and the points taken from them; members that failed, with nothing moved."""

    member_count: int
    points: int
    failed_count: int


def deduct_points(connection: Connection, part: Range, mail: Mail = NO_MAIL) -> Deducted:
    """Every locked member of the range with no open promotion is completed, or has failed with nothing moved.

    Who has lost points has the messages in the outbox that the campaigns owe. Failed are those whose lock has ended
    (lock_expired) or whose amount exceeds what was approved and what their promotions returned (amount_grew). Lock
    order: accounts ascending, in a statement of its own before the one that reads their events.
    """
    if not take_batch(connection, "cancel/lock_deductible", part.binds):
        return Deducted(0, 0, 0)
    connection.execute(query("cancel/clear_weighed"))
    connection.execute(query("cancel/weigh_points"), part.binds)
    connection.execute(query("cancel/measure_weighed"))
    done = connection.execute(query("cancel/deduct_points"), part.binds).one()
    queue_mail(connection, mail, "batch_cancellation", part.chunk.run_id)
    faults = {"lock_expired": done.lock_expired, "amount_grew": done.amount_grew}
    failed = (_fail(connection, part, reason, ids) for reason, ids in faults.items() if ids)
    return Deducted(done.member_count, done.points, sum(failed))


def _fail(connection: Connection, part: Range, reason: str, ids: list[int]) -> int:
    """How many failed just now: another worker may have completed them."""
    return int(
        connection.execute(query("cancel/fail_members"), part.binds | {"ids": ids, "reason": reason}).scalar_one()
    )
