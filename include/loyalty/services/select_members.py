"""Freeze a segment into the members of a run."""

from sqlalchemy import Connection, Select, literal, select
from sqlalchemy.dialects.postgresql import insert

from loyalty.services.journey_runs import OpenRun
from loyalty.store.queries import query
from loyalty.store.tables import journey_member


def select_members(connection: Connection, run: OpenRun, segment: Select[tuple[int]]) -> int:
    """Each profile of the segment as of the run is a member waiting for it; returns how many entered just now.

    ``segment`` selects profile ids by the binds ``as_of`` and ``settled_through``. Selecting again adds who is new and
    takes up again those the run was done with: what it does to them is only ever the difference that is missing.
    """
    profiles = segment.params(as_of=run.as_of, settled_through=run.settled_through).subquery("segment")
    numbered = select(literal(run.run_id), profiles.c.profile_id)
    members = insert(journey_member).from_select(["run_id", "profile_id"], numbered)
    again = members.on_conflict_do_update(
        index_elements=["run_id", "profile_id"],
        set_={"state": "selected", "finished_at": None, "reason": None, "detail": None},
        where=journey_member.c.state.in_(("completed", "failed")),
    )
    entered = connection.execute(again).rowcount
    connection.execute(query("note_members"), {"run_id": run.run_id})
    return entered
