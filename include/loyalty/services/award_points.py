"""Apply the earning rules: events become points, refunds reverse them, each exactly once."""

from collections.abc import Callable
from dataclasses import astuple, dataclass

from sqlalchemy import Connection, and_, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from loyalty.compile.earning_rules import MOST_POINTS, compile_awards
from loyalty.model.program import Program
from loyalty.store.batch import take_batch
from loyalty.store.queries import query
from loyalty.store.tables import account, event

SOURCE = "award_points"


@dataclass(frozen=True)
class Awarded:
    """Profiles looked at, awards and reversals written with their points, and what could not be done.

    ``unreadable`` counts events whose amount is no number, or more than a balance holds; ``not_taken`` are points of
    refunds that had expired or were spent already.
    """

    profile_count: int = 0
    award_count: int = 0
    points: int = 0
    reversal_count: int = 0
    reversed: int = 0
    not_taken: int = 0
    unreadable: int = 0

    def __add__(self, other: "Awarded") -> "Awarded":
        return Awarded(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def award_points(
    connection: Connection, program: Program, *, on_batch: Callable[[Awarded], None] | None = None
) -> Awarded:
    """No event waits for the earning rules; one commit a batch of profiles."""
    total = Awarded()
    while True:
        with connection.begin():
            batch = award_batch(connection, program)
        if batch.profile_count == 0:
            return total
        total += batch
        if on_batch:
            on_batch(batch)


def award_batch(connection: Connection, program: Program) -> Awarded:
    """The next waiting profiles have their awards and reversals; lock order: accounts ascending, before all else."""
    connection.execute(query("clear_reversals"))
    count = take_batch(connection, "lock_awaiting", {"size": program.batch_size})
    if count == 0:
        return Awarded()
    awards, points, unreadable = _write_awards(connection, program)
    unreadable += connection.scalar(query("unreadable_refunds")) or 0
    reversals, taken, not_taken = _reverse_refunded(connection)
    connection.execute(query("rules_have_seen"))
    return Awarded(count, awards, points, reversals, taken, not_taken, unreadable)


def _write_awards(connection: Connection, program: Program) -> tuple[int, int, int]:
    if not program.earning_rules:
        return 0, 0, 0
    worth = compile_awards(program).cte("worth")
    so_far = func.sum(worth.c.points).over(partition_by=worth.c.profile_id, order_by=(worth.c.occurred_at, worth.c.key))
    fits = and_(worth.c.points.is_not(None), account.c.balance + so_far <= MOST_POINTS).label("fits")
    weighed = select(*worth.c, fits).join(account, account.c.profile_id == worth.c.profile_id)
    award = weighed.cte("award").prefix_with("MATERIALIZED")
    columns = [column.name for column in worth.c]
    told = (
        select(*(award.c[name] for name in columns), literal(SOURCE)).where(award.c.fits).order_by(award.c.profile_id)
    )
    new = insert(event).from_select([*columns, "source"], told).on_conflict_do_nothing()
    written = new.returning(event.c.points).cte("written")
    totals = select(
        func.count(),
        func.coalesce(func.sum(written.c.points), 0),
        select(func.count()).select_from(award).where(~award.c.fits).scalar_subquery(),
    ).select_from(written)
    count, points, unreadable = connection.execute(totals).one()
    return count, int(points), unreadable


def _reverse_refunded(connection: Connection) -> tuple[int, int, int]:
    """One reversal of each profile at a time, in the order of time: each finds the account as the last one left it."""
    noted = connection.execute(query("note_reversals")).rowcount
    written = points = not_taken = place = 0
    while written < noted:
        place += 1
        row = connection.execute(query("reverse_points"), {"place": place}).one()
        written, points, not_taken = written + row.reversal_count, points + row.reversed, not_taken + row.not_taken
    return written, points, not_taken
