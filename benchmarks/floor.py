"""The floor of a journey: the bare set statements that write its rows, with no guard and nothing computed.

They run in a copy of the same database, with the same partitions and indexes, over one connection or over several, each
of which writes the rows of a part of the profiles.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.pool import NullPool
from stopwatch import Stopwatch, seconds

from loyalty.store.database import open_engine, transaction

UNGUARDED = "-c session_replication_role=replica"


@dataclass(frozen=True)
class Floor:
    """``preparation`` makes the rows as they will be written, in the schema bench; ``statements`` write them.

    Statements are named by the step of the journey that writes the same, and take the binds ``first`` and ``last``:
    the profiles whose rows they write. ``profiles`` is the table, or the query, that has these in ``profile_id``.
    """

    profiles: str
    preparation: Sequence[str]
    statements: Mapping[str, Sequence[str]]
    binds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FloorRun:
    """Seconds by the clock on the wall, of each step (all connections together), and the rows written."""

    connections: int
    seconds: float
    steps: dict[str, float]
    rows: int

    def as_json(self) -> dict[str, Any]:
        steps = {step: round(one, 4) for step, one in self.steps.items()}
        return {"connections": self.connections, "seconds": round(self.seconds, 4), "rows": self.rows, "steps": steps}


def prepare_floor(url: str, floor: Floor) -> None:
    """The rows are there as they will be written, and what is known of them is written out."""
    engine = open_engine(url, UNGUARDED, poolclass=NullPool)
    for statement in (*floor.preparation, "CHECKPOINT"):
        with transaction(engine) as connection:
            connection.execute(text(statement), floor.binds)


def run_floor(url: str, floor: Floor, connections: int) -> FloorRun:
    """The rows of the whole run are written, each statement committed."""
    engine = open_engine(url, UNGUARDED, pool_size=connections)
    watch, parts = Stopwatch(), parts_of(engine, floor.profiles, connections)
    with ThreadPoolExecutor(connections) as pool:
        written: list[int] = []
        took = seconds(lambda: written.extend(pool.map(lambda part: _write(engine, floor, part, watch), parts)))
    engine.dispose()
    return FloorRun(connections, took, watch.steps, sum(written))


def parts_of(engine: Engine, profiles: str, count: int) -> list[dict[str, int]]:
    """The profiles, cut into ranges of the same width."""
    with transaction(engine) as connection:
        first, last = connection.execute(text(f"SELECT min(profile_id), max(profile_id) FROM {profiles} AS p")).one()
    bounds = [first + (last + 1 - first) * n // count for n in range(count + 1)]
    return [{"first": start, "last": end - 1} for start, end in pairwise(bounds)]


def _write(engine: Engine, floor: Floor, part: dict[str, int], watch: Stopwatch) -> int:
    rows = 0
    for step, statements in floor.statements.items():
        for statement in statements:
            with watch.lap(step), transaction(engine) as connection:
                rows += connection.execute(text(statement), part).rowcount
    return rows
