"""One run of a journey, while it goes on and for ever after."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from loyalty.services.freeze_audience import MAY_COME_AGAIN
from loyalty.store.queries import Row, row, rows

MEASURES = ("members", "asked", "locked", "approved", "points", "returned", "shortfall", "balance_in", "balance_out")
RECENT = timedelta(seconds=60)
UNCUT = -1


@dataclass(frozen=True)
class Chunk:
    """One chunk: its members, how many ended, and when the rest will have, at the pace of the last minute."""

    number: int
    members: int
    ended: int
    failed: int
    points: int
    per_second: float
    ends_in: timedelta | None


@dataclass(frozen=True)
class RunView:
    """A run: its record, where its members are and why some failed, its chunks, its pace, its steps, its mail."""

    record: Row
    progress: Sequence[Row]
    pace: Sequence[Row]
    steps: Sequence[Row]
    mail: Sequence[Row]
    chunks: Sequence[Chunk]

    @property
    def is_over(self) -> bool:
        """Whether nothing of it changes any more, mail aside."""
        return bool(self.record["finished_at"])

    @property
    def may_change(self) -> bool:
        """Whether there is something to watch: members on the way, or messages that have not gone yet."""
        return not self.is_over or any(self.messages().get(state) for state in ("queued", "sending"))

    def total(self, measure: str, *states: str) -> int:
        """The sum of a measure over the members in these states, or over all."""
        return sum(one[measure] for one in self.progress if not states or one["state"] in states)

    def failures(self) -> list[Row]:
        """Each reason with its members and the points that were approved, most members first."""
        found: dict[str, Row] = {}
        for one in self.progress:
            if one["state"] == "failed":
                fresh = {"reason": one["reason"], "members": 0, "approved": 0}
                reason = found.setdefault(one["reason"], fresh | {"again": one["reason"] in MAY_COME_AGAIN})
                reason["members"] += one["members"]
                reason["approved"] += one["approved"]
        return sorted(found.values(), key=lambda one: (-one["members"], one["reason"]))

    def messages(self) -> dict[str, int]:
        """How many messages are in each state."""
        counted: dict[str, int] = defaultdict(int)
        for one in self.mail:
            counted[one["state"]] += one["messages"]
        return dict(counted)


def find_run(connection: Connection, journey: str, run_key: str) -> int | None:
    """The number of the run that the journey's starter calls by this key."""
    found = row(connection, "insights/find_run", journey=journey, run_key=run_key)
    return None if found is None else int(found["run_id"])


def look_at_run(connection: Connection, run_id: int) -> RunView | None:
    """The run as it is now; None where there is none of this number."""
    record = row(connection, "insights/run", run_id=run_id)
    if record is None:
        return None
    progress = rows(connection, "insights/run_progress", run_id=run_id)
    pace = rows(connection, "insights/run_pace", run_id=run_id)
    return RunView(
        record=record,
        progress=progress,
        pace=pace,
        steps=rows(connection, "insights/run_steps", run_id=run_id),
        mail=rows(connection, "insights/run_mail", run_id=run_id),
        chunks=_chunks(progress, pace, record["now"]),
    )


def failed_page(
    connection: Connection, run_id: int, *, size: int, after: int = 0, reason: str | None, customer: str | None
) -> Sequence[Row]:
    """Failed members in the order of profiles, ``size`` of those after one; of a reason or a customer alone."""
    sought = {"reason": reason or None, "customer": customer or None}
    return rows(connection, "insights/run_failed", run_id=run_id, size=size, after=after, **sought)


def _chunks(progress: Sequence[Row], pace: Sequence[Row], now: datetime) -> list[Chunk]:
    sums: dict[int, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for one in progress:
        mine = sums[one["chunk"]]
        mine["members"] += one["members"]
        mine["points"] += one["points"]
        mine["ended"] += one["members"] if one["state"] in ("completed", "failed") else 0
        mine["failed"] += one["members"] if one["state"] == "failed" else 0
    return [
        _chunk(number, mine, _recently(pace, number, now))
        for number, mine in sorted(sums.items())
        if number != UNCUT and mine["members"]
    ]


def _recently(pace: Sequence[Row], number: int, now: datetime) -> float:
    """Members that ended per second, in the last minute or since the first of them did."""
    recent = [one for one in pace if one["chunk"] == number and one["ended"] > 0 and one["moment"] > now - RECENT]
    if not recent:
        return 0.0
    return float(sum(one["ended"] for one in recent) / max((now - recent[0]["moment"]).total_seconds(), 1))


def _chunk(number: int, mine: dict[str, Any], per_second: float) -> Chunk:
    left = mine["members"] - mine["ended"]
    ends_in = timedelta(seconds=left / per_second) if left and per_second else None
    return Chunk(number, mine["members"], mine["ended"], mine["failed"], mine["points"], per_second, ends_in)
