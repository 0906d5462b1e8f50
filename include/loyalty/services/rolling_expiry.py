"""The rolling expiry journey, step by step, as the command line and the DAG walk it."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Connection

from loyalty.compile import compile_segment
from loyalty.model.catalog import Catalog
from loyalty.model.mail import NO_MAIL, Mail
from loyalty.model.program import Program
from loyalty.services.expire_points import Batch, expire_points
from loyalty.services.journey_runs import RunTotals, finish_run, open_run
from loyalty.services.measure import measure_events, measure_members
from loyalty.services.select_members import select_members
from loyalty.services.waiting_members import work_on_waiting
from loyalty.store.queries import query

JOURNEY = "rolling_expiry"
DEFAULT_SEGMENT = "points_to_expire"
Progress = Callable[[Batch], None]


def snapshot(
    connection: Connection,
    program: Program,
    catalog: Catalog,
    *,
    run_key: str,
    business_date: date,
    segment: str = DEFAULT_SEGMENT,
    ahead: bool = False,
) -> int:
    """The run of this key has the segment's profiles as members; returns the run's id."""
    measure_events(connection)
    with connection.begin():
        run = open_run(
            connection, journey=JOURNEY, run_key=run_key, business_date=business_date, catalog=catalog, ahead=ahead
        )
        select_members(connection, run, compile_segment(catalog, program, catalog.segment(segment)))
    measure_members(connection, run.run_id)
    return run.run_id


def expire(
    connection: Connection, run_id: int, *, size: int, mail: Mail = NO_MAIL, on_batch: Progress | None = None
) -> int:
    """No member of the run waits; one commit a batch, so that a restart goes on where this stopped. Returns points.

    Members whose balance another journey has locked have failed; they keep their mark, and the next run finds them.
    """
    taken: list[int] = []

    def count(batch: Batch) -> None:
        taken.append(batch.points)
        if on_batch:
            on_batch(batch)

    work_on_waiting(
        connection, run_id, size=size, alone=True, work=lambda own: expire_points(own, run_id, mail), on_batch=count
    )
    return sum(taken)


def finish(connection: Connection, run_id: int, *, segment: str = DEFAULT_SEGMENT) -> RunTotals:
    """The run is completed, and the program settled through its business date, unless the segment left somebody out."""
    with connection.begin():
        totals = finish_run(connection, run_id)
        connection.execute(
            query("settled_through"), {"day": totals.business_date, "everybody": segment == DEFAULT_SEGMENT}
        )
    return totals


def run_rolling_expiry(
    connection: Connection,
    program: Program,
    catalog: Catalog,
    *,
    run_key: str,
    business_date: date,
    segment: str = DEFAULT_SEGMENT,
    ahead: bool = False,
    on_batch: Progress | None = None,
) -> RunTotals:
    """The whole journey as of the midnight of ``business_date``, in this process."""
    run_id = snapshot(
        connection, program, catalog, run_key=run_key, business_date=business_date, segment=segment, ahead=ahead
    )
    expire(connection, run_id, size=program.batch_size, mail=program.mail, on_batch=on_batch)
    return finish(connection, run_id, segment=segment)
