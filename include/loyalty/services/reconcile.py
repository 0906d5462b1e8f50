"""Check every invariant of the ledger against the events themselves.

Of many customers it is asked part by part, a part being those whose events lie in one partition: what is read for one
statement is still in memory for the next, and no statement keeps more than a part of them in mind.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from sqlalchemy import Connection, Engine

from loyalty.store.database import transaction
from loyalty.store.queries import Row, query, query_of_part
from loyalty.store.side_by_side import SIDE_BY_SIDE, work_side_by_side

SHOWN = 20
SLICE = 50_000  # customers whose midnights are settled at once
FEW_SLICES = 5  # so many, and no more, are asked about all at once
# In the order in which they are told; each is a statement of store/sql/invariants.
OF_THE_LEDGER = ("1_counters_are_the_sum", "9_closed_days_stay")  # no part of the check of one run
OF_RUNS = ("5_nobody_stays_locked", "6_progress_is_kept", "6_totals_are_the_members")
OF_GUARDS = ("7_events_stay",)
OF_MEMBERS = ("4_locked_customers_cannot_spend", "5_cancelled_under_a_lock", "6_members_add_up")
OF_PROFILES = ("1_balance_is_the_sum", "2_never_below_zero", "3_cancelled_once", "7_events_mean_what_they_say")
OF_SLICES = ("8_expiry_follows_the_rule",)
INVARIANTS = tuple(sorted((*OF_THE_LEDGER, *OF_RUNS, *OF_GUARDS, *OF_MEMBERS, *OF_PROFILES, *OF_SLICES)))


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
    """One statement: an invariant, of the whole ledger or of the profiles that the binds name."""

    invariant: str
    binds: Mapping[str, Any]


def reconcile(connection: Connection, run_id: int | None = None) -> list[Finding]:
    """What each invariant that exists so far says of this ledger, or of the members of one run; it only reads."""
    return _findings(
        [_answer(connection, question) for portion in _portions(connection, run_id) for question in portion]
    )


def reconcile_side_by_side(engine: Engine, run_id: int | None = None) -> list[Finding]:
    """The same of what is committed, asked over several connections at a time; each statement sees its own moment."""
    with transaction(engine) as connection:
        portions = _portions(connection, run_id)
    answers: dict[int, list[Finding]] = {}

    def ask(connection: Connection, place: int) -> None:
        answers[place] = []
        for question in portions[place]:
            with connection.begin():
                answers[place].append(_answer(connection, question))

    work_side_by_side(engine, ask, range(len(portions)), SIDE_BY_SIDE)
    return _findings([answer for place in range(len(portions)) for answer in answers[place]])


def broken(findings: list[Finding]) -> list[Finding]:
    """Those that do not hold."""
    return [finding for finding in findings if not finding.holds]


def awaiting_settlement(connection: Connection) -> int:
    """How many accounts the next expiry run will look at although the program is settled past their midnight."""
    return int(connection.scalar(query("awaiting_settlement")) or 0)


def _portions(connection: Connection, run_id: int | None) -> list[list[Question]]:
    """All that is to be asked, in portions that one connection asks; those of a part follow each other."""
    bounds = [0, *connection.scalars(query("profile_bounds"), {"size": SLICE, "run_id": run_id})]
    parts: Sequence[int | None] = [None]
    profiles_of = run_id
    if len(bounds) > FEW_SLICES + 1:
        parts = range(connection.execute(query("part_count")).scalar_one())
        bounds = [0, *reversed(bounds[: 0 : -len(parts)])]
        profiles_of = connection.scalar(query("run_of_some"), {"run_id": run_id})
    return [_whole(run_id), *(one for part in parts for one in _of_part(part, run_id, profiles_of, bounds))]


def _whole(run_id: int | None) -> list[Question]:
    """The portion that no part can answer."""
    alone = OF_GUARDS if run_id else (*OF_GUARDS, *OF_THE_LEDGER)
    return [Question(name, {"run_id": run_id}) for name in OF_RUNS] + [Question(name, {}) for name in alone]


def _of_part(
    part: int | None, run_id: int | None, profiles_of: int | None, bounds: Sequence[int]
) -> Iterator[list[Question]]:
    """The portions about the profiles of one part, or about all of them: about members, and about whoever they are."""
    members, profiles = {"part": part, "run_id": run_id}, {"part": part, "run_id": profiles_of}
    yield [Question(name, members) for name in OF_MEMBERS] + [Question(name, profiles) for name in OF_PROFILES]
    for after, up_to in pairwise(bounds):
        yield [Question(name, {**profiles, "after": after, "up_to": up_to}) for name in OF_SLICES]


def _answer(connection: Connection, question: Question) -> Finding:
    name, part = f"invariants/{question.invariant}", question.binds.get("part")
    statement = query(name) if part is None else query_of_part(name, part)
    rows = iter(connection.execute(statement, dict(question.binds)).mappings())
    shown = tuple(dict(row) for row in islice(rows, SHOWN))
    return Finding(question.invariant, len(shown) + sum(1 for _ in rows), shown)


def _findings(answers: Sequence[Finding]) -> list[Finding]:
    """One of each invariant; one that nothing was asked of holds."""
    return [_of_all_parts(name, [one for one in answers if one.invariant == name]) for name in INVARIANTS]


def _of_all_parts(name: str, parts: Sequence[Finding]) -> Finding:
    shown = tuple(row for part in parts for row in part.rows)
    return Finding(name, sum(part.count for part in parts), shown[:SHOWN])
