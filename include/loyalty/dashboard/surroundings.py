"""What the dashboard is given by whoever serves it: a database that it may read, and who is asking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine


@dataclass(frozen=True)
class Surroundings:
    """The parts of the host that pages need.

    ``ledger`` opens an engine whose sessions only read. ``asking`` is a FastAPI dependency that gives who asks, or
    answers 401; ``may_see`` says whether that somebody may see the runs of a journey. ``next_runs`` says when the host
    starts each of these journeys next (None: by hand only). ``task_path`` is where the host shows a task of a run: of a
    journey, a run's key, a task's id, and its place among the chunks (None: it has none).
    """

    ledger: Callable[[], Engine]
    asking: Callable[..., Any]
    may_see: Callable[[Any, str], bool]
    next_runs: Callable[[Sequence[str]], Mapping[str, datetime | None]]
    task_path: Callable[[str, str, str, int | None], str]
