"""Give back exactly what a batch cancellation took, once."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.services.freeze_audience import JOURNEY as CANCELLATION
from loyalty.services.journey_runs import RunTotals, finish_run
from loyalty.services.measure import measure_members
from loyalty.services.waiting_members import work_on_waiting
from loyalty.store.queries import query


@dataclass(frozen=True)
class Restored:
    """How many members have how many points back; or, with a reason, how many have not."""

    reason: str | None
    member_count: int
    points: int


def preview_undo(connection: Connection, undone: int) -> list[Restored]:
    """What an undo of the run would do, and for whom it would not and why; nothing is touched."""
    _check(connection, undone)
    return [Restored(*row) for row in connection.execute(query("cancel/preview_undo"), {"undone": undone})]


def undo_journey(
    connection: Connection,
    undone: int,
    *,
    run_key: str,
    size: int,
    on_batch: Callable[[Restored], None] | None = None,
) -> RunTotals:
    """Everybody from whom the run took points has them back; returns the totals of the run that gave them.

    Failed are those who have them already (already_restored) and those whose balance another run has locked
    (balance_locked), whom the same undo takes up when it is run again. Promotions stay as they are. One commit a batch.
    """
    with connection.begin():
        _check(connection, undone)
        run_id = connection.execute(query("cancel/open_undo"), {"run_key": run_key, "undone": undone}).scalar_one()
        connection.execute(query("cancel/select_undone"), {"run_id": run_id, "undone": undone})
        connection.execute(query("note_members"), {"run_id": run_id})
    measure_members(connection, run_id)
    work_on_waiting(
        connection,
        run_id,
        size=size,
        work=lambda own: _restore(own, run_id, undone),
        on_batch=on_batch or (lambda _: None),
    )
    with connection.begin():
        return finish_run(connection, run_id)


def _restore(connection: Connection, run_id: int, undone: int) -> Restored:
    """The batch's members have their points back."""
    row = connection.execute(query("cancel/restore_points"), {"run_id": run_id, "undone": undone}).one()
    return Restored(None, row.member_count, row.points)


def _check(connection: Connection, undone: int) -> None:
    run = connection.execute(query("cancel/undo_run"), {"run_id": undone}).one_or_none()
    if run is None or run.journey != CANCELLATION:
        raise LoyaltyError(f"{undone} is no run of the batch cancellation: only such a run can be undone")
    if run.state != "completed":
        raise LoyaltyError(f"run {undone} is {run.state}: only a completed run can be undone")
