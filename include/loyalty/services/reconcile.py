"""Check every invariant of the ledger against the events themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from sqlalchemy import Connection, Engine

from loyalty.store.database import transaction
from loyalty.store.queries import Row, query
from loyalty.store.side_by_side import SIDE_BY_SIDE, work_side_by_side

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


@dataclass(frozen=True)
class Question:
    """One statement: an invariant, of the whole ledger or of the part that the binds name."""

    invariant: str
    binds: Mapping[str, Any]

    @property
    def is_slice(self) -> bool:
        """Whether it is about some profiles in a row."""
        return "up_to" in self.binds


def reconcile(connection: Connection, run_id: int | None = None) -> list[Finding]:
    """What each invariant that exists so far says of this ledger, or of the members of one run; it only reads."""
    questions = _questions(connection, run_id)
    return _findings([_answer(connection, question) for question in questions])


def reconcile_side_by_side(engine: Engine, run_id: int | None = None) -> list[Finding]:
    """The same of what is committed, asked over several connections at a time; each statement sees its own moment.

    Statements about all customers at once keep much in the server's memory: never are two of them under way.
    """
    with transaction(engine) as connection:
        questions = _questions(connection, run_id)
    large = [place for place, question in enumerate(questions) if not question.is_slice]
    slices = [[place] for place, question in enumerate(questions) if question.is_slice]
    answers: dict[int, Finding] = {}

    def ask(connection: Connection, places: Sequence[int]) -> None:
        for place in places:
            with connection.begin():
                answers[place] = _answer(connection, questions[place])

    work_side_by_side(engine, ask, [large, *slices], SIDE_BY_SIDE)
    return _findings([answers[place] for place in range(len(questions))])


def broken(findings: list[Finding]) -> list[Finding]:
    """Those that do not hold."""
    return [finding for finding in findings if not finding.holds]


def awaiting_settlement(connection: Connection) -> int:
    """How many accounts the next expiry run will look at although the program is settled past their midnight."""
    return int(connection.scalar(query("awaiting_settlement")) or 0)


def _questions(connection: Connection, run_id: int | None) -> list[Question]:
    """All of them, in the order of the invariants."""
    return [Question(name, binds) for name, parts in INVARIANTS.items() for binds in parts(connection, run_id)]


def _answer(connection: Connection, question: Question) -> Finding:
    rows = iter(connection.execute(query(f"invariants/{question.invariant}"), dict(question.binds)).mappings())
    shown = tuple(dict(row) for row in islice(rows, SHOWN))
    return Finding(question.invariant, len(shown) + sum(1 for _ in rows), shown)


def _findings(answers: Sequence[Finding]) -> list[Finding]:
    """One of each invariant; one that nothing was asked of holds."""
    return [_of_all_parts(name, [one for one in answers if one.invariant == name]) for name in INVARIANTS]


def _of_all_parts(name: str, parts: Sequence[Finding]) -> Finding:
    shown = tuple(row for part in parts for row in part.rows)
    return Finding(name, sum(part.count for part in parts), shown[:SHOWN])


Parts = Iterator[Mapping[str, Any]]


def _whole(_connection: Connection, run_id: int | None) -> Parts:
    yield {"run_id": run_id}


def _guards(_connection: Connection, _run_id: int | None) -> Parts:
    yield {}


def _of_all_alone(_connection: Connection, run_id: int | None) -> Parts:
    """What speaks of the whole ledger at once is no part of the check of one run."""
    if run_id is None:
        yield {}


def _by_slices(connection: Connection, run_id: int | None) -> Parts:
    bounds = [0, *connection.scalars(query("profile_bounds"), {"size": SLICE, "run_id": run_id})]
    for after, up_to in pairwise(bounds):
        yield {"after": after, "up_to": up_to, "run_id": run_id}


INVARIANTS: dict[str, Callable[[Connection, int | None], Parts]] = {
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
