"""Close days: their rows, their ageing and the cohorts of the last of them are written once, and stay."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.store.queries import Row, query, rows

SLICE = 50_000
DAY = timedelta(days=1)
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Books:
    """How far the books are; None where no day is closed, or none has points. ``today`` is not over."""

    first_closed: date | None
    last_closed: date | None
    first_day: date | None
    settled_through: date
    today: date


def state_of_books(connection: Connection) -> Books:
    """How far the books are."""
    return Books(*connection.execute(query("books/state")).one())


def close_days(
    connection: Connection, program: Program, *, first: date | None, last: date, on_slice: Progress | None = None
) -> Sequence[Row]:
    """Every day from the first (None: the next open one) to the last is closed; returns their rows.

    What is closed already stays as it is. Refused are a gap, a day that is not over, and one whose midnight is not
    settled. A close whose counters are not its lots raises, and nothing of it is stored.
    """
    with _alone(connection):
        with connection.begin():
            connection.execute(query("books/one_moment"))
            books = state_of_books(connection)
            start = _first_open(books, first, last)
            if start <= last:
                _check_may_close(books, start, last)
                _close(connection, program, start, last, on_slice)
        with connection.begin():
            connection.execute(query("books/fold_points"), {"day": last})
            return rows(connection, "books/days", first=min(first or start, last), last=last)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    with connection.begin():
        connection.execute(query("books/lock_close"))
    try:
        yield
    finally:
        if not connection.invalidated:
            with connection.begin():
                connection.execute(query("books/unlock_close"))


def _first_open(books: Books, first: date | None, last: date) -> date:
    """The day that a close through ``last`` begins with; past it, where all of them are closed."""
    if first and first > last:
        raise LoyaltyError(f"the first day {first} lies after the last one {last}")
    if books.last_closed is None or books.first_closed is None:
        return first or min(books.first_day or last, last)
    if (first or last) < books.first_closed:
        raise LoyaltyError(
            f"the books begin with {books.first_closed}: what was before is in the prior days of that day"
        )
    following = books.last_closed + DAY
    if first and first > following:
        raise LoyaltyError(
            f"{following} is not closed, and days close in their order: `loyalty close --through {last}` closes all"
        )
    return following


def _check_may_close(books: Books, first: date, last: date) -> None:
    if last >= books.today:
        raise LoyaltyError(f"{last} is not over: the last day that can be closed is {books.today - DAY}")
    if books.settled_through < last:
        missing = max(first, books.settled_through + DAY)
        raise LoyaltyError(
            f"midnight {missing} is not settled: `loyalty expire --from {missing} --to {last}` (or the DAG "
            "rolling_expiry) settles what is missing, and then the day can be closed"
        )


def _close(connection: Connection, program: Program, first: date, last: date, on_slice: Progress | None) -> None:
    """Drafts of everything, in temporary tables; compared; written."""
    span = {"first": first, "last": last}
    connection.execute(query("books/open_drafts"))
    for after, up_to in slices(connection):
        connection.execute(query("books/draft_entries"), {"last": last, "after": after, "up_to": up_to})
        connection.execute(query("books/measure_entries"))
        connection.execute(query("books/draft_ageing"), span)
        connection.execute(query("books/draft_cohorts"), {"last": last})
        connection.execute(query("books/clear_entries"))
        if on_slice:
            on_slice(up_to)
    worth = {"point_value": program.point_value, "currency": program.currency, "fingerprint": program.fingerprint()}
    connection.execute(query("books/draft_days"), span | worth)
    _check_lots(connection)
    connection.execute(query("books/write_ageing"))
    connection.execute(query("books/write_cohorts"), {"last": last})
    connection.execute(query("books/write_days"))


def slices(connection: Connection) -> Iterator[tuple[int, int]]:
    """Each slice of the customers: after this profile, up to that one."""
    bounds = connection.scalars(query("profile_bounds"), {"size": SLICE, "run_id": None}).all()
    return pairwise([0, *bounds])


def _check_lots(connection: Connection) -> None:
    """What was counted is what the lots come to, on each day; else both are told, and where they part."""
    wrong = connection.execute(query("books/disagreements")).all()
    if not wrong:
        return
    day, closing, lots = wrong[0]
    parts = "; ".join(
        f"{row.day} {row.effect}: counted {row.counted:,}, recorded {row.recorded:,} (as of customers {row.customers})"
        for row in connection.execute(query("books/miscounted"), {"day": day})
    )
    raise LoyaltyError(
        f"{day} cannot be closed: its counters come to {closing:,} points, its lots to {lots:,}. Nothing is stored. "
        f"{parts or 'the counters are the sum of the events'}; see `loyalty reconcile`"
    )
