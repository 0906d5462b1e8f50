"""The batch cancellation, step by step, as the command line and the DAG walk it. Each step can be repeated."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from loyalty.errors import LoyaltyError
from loyalty.model.cancellation import CancellationRun
from loyalty.model.catalog import Catalog
from loyalty.model.mail import NO_MAIL, Mail
from loyalty.model.program import Program
from loyalty.services.chunks import Chunk, Range, cut_chunks, even_size, next_range, open_chunk, wait_for_other_workers
from loyalty.services.deactivate_promotions import (
    deactivate_promotions,
    deactivations_are_answered,
    start_deactivation_wait,
)
from loyalty.services.deduct_points import deduct_points
from loyalty.services.fail_unconfirmed import fail_undeactivated, fail_unlocked
from loyalty.services.filter_clients import filter_clients
from loyalty.services.freeze_audience import freeze_audience
from loyalty.services.journey_runs import RunTotals, finish_run
from loyalty.services.lock_balances import grant_locks, locks_are_answered, request_locks, start_lock_wait
from loyalty.services.measure import measure_events, measure_members
from loyalty.services.release_locks import release_locks
from loyalty.store.queries import query
from loyalty.store.side_by_side import SIDE_BY_SIDE, one_at_a_time, work_side_by_side

JOURNEY = "batch_cancellation"
POLL_SECONDS = 0.5
LOCKED_AT_ONCE = 1_000  # whoever pays meanwhile waits for one commit


@dataclass(frozen=True)
class Step:
    """What a step did to some members of a chunk just now: how many it moved on, how many failed, points taken."""

    member_count: int
    failed_count: int = 0
    points: int = 0

    def __add__(self, other: "Step") -> "Step":
        return Step(
            self.member_count + other.member_count,
            self.failed_count + other.failed_count,
            self.points + other.points,
        )


Progress = Callable[[Step], None]
Work = Callable[[Connection, Range], Step]


def snapshot(connection: Connection, program: Program, catalog: Catalog, run: CancellationRun, *, run_key: str) -> int:
    """The run of this key is frozen, with its members and amounts; returns its id."""
    measure_events(connection)
    with connection.begin():
        run_id = freeze_audience(connection, program, catalog, run, run_key=run_key)
    measure_members(connection, run_id)
    return run_id


def cut(connection: Connection, run_id: int, *, size: int) -> list[int]:
    """The run's members are cut into chunks, even ones as far as each has a range; returns their numbers."""
    with connection.begin():
        run = run_settings(connection, run_id)
        members = connection.scalar(query("cancel/count_members"), {"run_id": run_id})
        of_a_chunk = even_size(members, run.chunk_size, at_once=run.chunks_at_once, least=size)
        return cut_chunks(connection, run_id, size=of_a_chunk)


def lock(connection: Connection, run_id: int, number: int, *, size: int, on_batch: Progress | None = None) -> Step:
    """Every member of the chunk has its lock or has asked for it, and the wait for confirmations has begun."""

    def work(connection: Connection, part: Range) -> Step:
        granted = grant_locks(connection, part)
        request_locks(connection, part)
        return Step(granted)

    chunk = _open(connection, run_id, number)
    done = _walk(connection, chunk, work, min(size, LOCKED_AT_ONCE), on_batch)
    with connection.begin():
        start_lock_wait(connection, chunk)
    return done


def locks_answered(connection: Connection, run_id: int, number: int) -> bool:
    """Whether the wait for the chunk's locks is over."""
    chunk = _open(connection, run_id, number)
    with connection.begin():
        return locks_are_answered(connection, chunk)


def fail_without_lock(connection: Connection, run_id: int, number: int, *, size: int) -> Step:
    """Members of the chunk whose lock was not confirmed in time have failed."""
    return _walk(connection, _open(connection, run_id, number), lambda c, part: Step(0, fail_unlocked(c, part)), size)


def split_clients(connection: Connection, run_id: int, number: int, *, size: int) -> Step:
    """Locked members of the chunk with active promotions are deactivating; counts these."""
    return _walk(
        connection,
        _open(connection, run_id, number),
        lambda c, part: Step(filter_clients(c, part).member_count),
        size,
    )


def deactivate(connection: Connection, run_id: int, number: int, *, size: int) -> Step:
    """The chunk's promotions are deactivated by this database, or asked for; the wait for them has begun."""
    chunk = _open(connection, run_id, number)
    done = _walk(connection, chunk, lambda c, part: Step(deactivate_promotions(c, part)), size)
    with connection.begin():
        start_deactivation_wait(connection, chunk)
    return done


def deactivations_answered(connection: Connection, run_id: int, number: int) -> bool:
    """Whether the wait for the chunk's deactivations is over."""
    chunk = _open(connection, run_id, number)
    with connection.begin():
        return deactivations_are_answered(connection, chunk)


def fail_with_promotions(connection: Connection, run_id: int, number: int, *, size: int) -> Step:
    """Members of the chunk whose promotions were not deactivated in time have failed."""
    return _walk(
        connection, _open(connection, run_id, number), lambda c, part: Step(0, fail_undeactivated(c, part)), size
    )


def deduct(
    connection: Connection,
    run_id: int,
    number: int,
    *,
    size: int,
    mail: Mail = NO_MAIL,
    on_batch: Progress | None = None,
) -> Step:
    """Every locked member of the chunk has lost its points and its lock, or has failed with nothing moved.

    Who has lost points is owed the messages of the campaigns, in the same transaction.
    """

    def work(connection: Connection, part: Range) -> Step:
        done = deduct_points(connection, part, mail)
        return Step(done.member_count, done.failed_count, done.points)

    return _walk(connection, _open(connection, run_id, number), work, size, on_batch)


def release(connection: Connection, run_id: int, number: int, *, size: int) -> Step:
    """Nobody of the chunk is on the way any more, and no lock of its members is live."""
    return _walk(connection, _open(connection, run_id, number), lambda c, part: Step(0, release_locks(c, part)), size)


def finish(connection: Connection, run_id: int) -> RunTotals:
    """The run is completed and holds the totals of its members; one with members on the way is refused."""
    with connection.begin():
        return finish_run(connection, run_id)


def cancel_chunk(
    connection: Connection,
    run_id: int,
    number: int,
    *,
    size: int,
    mail: Mail = NO_MAIL,
    on_batch: Progress | None = None,
) -> None:
    """All steps for one chunk, one after the other, in this process."""
    lock(connection, run_id, number, size=size)
    _wait(lambda: locks_answered(connection, run_id, number))
    fail_without_lock(connection, run_id, number, size=size)
    split_clients(connection, run_id, number, size=size)
    deactivate(connection, run_id, number, size=size)
    _wait(lambda: deactivations_answered(connection, run_id, number))
    fail_with_promotions(connection, run_id, number, size=size)
    deduct(connection, run_id, number, size=size, mail=mail, on_batch=on_batch)
    release(connection, run_id, number, size=size)


def cancel_chunks(
    engine: Engine,
    run_id: int,
    numbers: Iterable[int],
    *,
    size: int,
    mail: Mail = NO_MAIL,
    side_by_side: int = SIDE_BY_SIDE,
    on_batch: Progress | None = None,
) -> None:
    """All steps for each of the chunks, so many chunks at a time. Where one fails, the others stop where they are."""
    tell = one_at_a_time(on_batch) if on_batch else None

    def one(connection: Connection, number: int) -> None:
        cancel_chunk(connection, run_id, number, size=size, mail=mail, on_batch=tell)

    work_side_by_side(engine, one, numbers, side_by_side)


def run_settings(connection: Connection, run_id: int) -> CancellationRun:
    """What the run was asked for when it was frozen."""
    found = connection.scalar(query("cancel/run_settings"), {"run_id": run_id})
    return CancellationRun.model_validate(found)


def someone_deactivates(connection: Connection, run_id: int, number: int) -> bool:
    """Whether a member of the chunk is having promotions deactivated."""
    binds = open_chunk(connection, run_id, number).all.binds
    return bool(connection.scalar(query("cancel/someone_deactivates"), binds))


def _open(connection: Connection, run_id: int, number: int) -> Chunk:
    with connection.begin():
        return open_chunk(connection, run_id, number)


def _walk(connection: Connection, chunk: Chunk, work: Work, size: int, on_batch: Progress | None = None) -> Step:
    """One commit a range, so that a retry goes on where this stopped; returns the sum."""
    total, after = Step(0), chunk.first - 1
    while True:
        with connection.begin():
            wait_for_other_workers(connection, chunk)
            part = next_range(connection, chunk, after, size=size)
            if part is None:
                return total
            done = work(connection, part)
        total, after = total + done, part.bound
        if on_batch:
            on_batch(done)


def _wait(is_over: Callable[[], bool]) -> None:
    while not is_over():
        time.sleep(POLL_SECONDS)


def catalog_of_run(
    load: Callable[[Program], Catalog], program: Program, run: CancellationRun
) -> tuple[Program, Catalog]:
    """The program and the definitions as the run's own settings have them."""
    own = program.model_copy(update={"cancellation": run})
    catalog = load(own)
    for name in filter(None, (run.segment, run.exclude_segment)):
        catalog.segment(name)
    return own, catalog


def settings_of(program: Program, **asked: object) -> CancellationRun:
    """The program's settings, with those that were asked for in their place; what does not go together is said."""
    given = program.cancellation.model_dump(mode="json") | {k: v for k, v in asked.items() if v is not None}
    try:
        return CancellationRun.model_validate(given)
    except ValueError as error:
        raise LoyaltyError(f"the run's settings: {error}") from None
