"""Check every invariant of the ledger against the events themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection

from loyalty.store.queries import Row, query

SHOWN = 20
SLICE = 50_000


@dataclass(frozen=True)
class Finding:
    """One invariant after its check: how many rows break it (none, if it holds), and the first of them."""

    invariant: str
    count: int
    rows: tuple[Row, ...]

    @property
    def holds(self) -> bool:
        return self.count == 0


def reconcile(connection: Connection, run_id: int | None = None) -> list[Finding]:
    """What each invariant that exists so far says of this ledger, or of the members of one run; it only reads."""
    return [_finding(name, rows(connection, name, run_id)) for name, rows in INVARIANTS.items()]


def broken(findings: list[Finding]) -> list[Finding]:
    """Those that do not hold."""
    return [finding for finding in findings if not finding.holds]


def awaiting_settlement(connection: Connection) -> int:
    """How many accounts the next expiry run will look at although the program is settled past their midnight."""
    return int(connection.scalar(query("awaiting_settlement")) or 0)


Rows = Iterator[Row]


def _whole(connection: Connection, name: str, run_id: int | None) -> Rows:
    return _rows(connection, name, run_id=run_id)


def _guards(connection: Connection, name: str, _run_id: int | None) -> Rows:
    return _rows(connection, name)


def _of_all_alone(connection: Connection, name: str, run_id: int | None) -> Rows:
    """What speaks of the whole ledger at once is no part of the check of one run."""
    return _rows(connection, name) if run_id is None else iter(())


def _by_slices(connection: Connection, name: str, run_id: int | None) -> Rows:
    bounds = [0, *connection.scalars(query("profile_bounds"), {"size": SLICE, "run_id": run_id})]
    for after, up_to in pairwise(bounds):
        yield from _rows(connection, name, after=after, up_to=up_to, run_id=run_id)


def _rows(connection: Connection, name: str, **binds: object) -> Rows:
    for row in connection.execute(query(f"invariants/{name}"), binds).mappings():
        yield dict(row)


def _finding(name: str, rows: Rows) -> Finding:
    shown, count = [], 0
    for row in rows:
        count += 1
        if count <= SHOWN:
            shown.append(row)
    return Finding(name, count, tuple(shown))


INVARIANTS: dict[str, Callable[[Connection, str, int | None], Rows]] = {
    "1_balance_is_the_sum": _whole,
    "1_counters_are_the_sum": _of_all_alone,
    "2_never_below_zero": _whole,
    "3_cancelled_once": _whole,
    "4_locked_customers_cannot_spend": _whole,
    "5_cancelled_under_a_lock": _whole,
    "6_members_add_up": _whole,
    "6_progress_is_kept": _whole,
    "7_events_mean_what_they_say": _whole,
    "7_events_stay": _guards,
    "8_expiry_follows_the_rule": _by_slices,
    "9_closed_days_stay": _of_all_alone,
}
