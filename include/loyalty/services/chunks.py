"""A run's members in chunks, and a chunk's in ranges, one transaction each."""

from dataclasses import dataclass
from math import ceil

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.cancellation import CancellationRun
from loyalty.store.queries import query


@dataclass(frozen=True)
class Chunk:
    """The members of a run from one profile to another, both included, and the run's settings."""

    run_id: int
    number: int
    first: int
    last: int
    settings: CancellationRun

    @property
    def all(self) -> "Range":
        """All members of the chunk as one range."""
        return Range(self, self.first - 1, self.last)


@dataclass(frozen=True)
class Range:
    """Some members of a chunk: those after one profile, up to and with another."""

    chunk: Chunk
    after: int
    bound: int

    @property
    def binds(self) -> dict[str, object]:
        """What the statements of a range are told."""
        return {"run_id": self.chunk.run_id, "chunk": self.chunk.number, "after": self.after, "bound": self.bound}


def even_size(member_count: int, most: int, *, at_once: int, least: int) -> int:
    """How many members a chunk gets: ``most``, or fewer, so that of ``at_once`` at work none is alone at the end.

    Fewer where a multiple of ``at_once`` chunks can share the members, and each gets ``least`` of them.
    """
    even = at_once * ceil(member_count / (most * at_once))
    return ceil(member_count / even) if member_count >= least * even > 0 else most


def cut_chunks(connection: Connection, run_id: int, *, size: int) -> list[int]:
    """The run's members are cut into chunks of ``size`` by profile; returns the chunks' numbers, from 0."""
    if connection.execute(query("cancel/cut_chunks"), {"run_id": run_id, "size": size}).rowcount:
        connection.execute(query("note_members"), {"run_id": run_id})
    return list(connection.scalars(query("cancel/list_chunks"), {"run_id": run_id}))


def open_chunk(connection: Connection, run_id: int, number: int) -> Chunk:
    """The chunk of a run that may go on; one that was not approved is refused."""
    found = connection.execute(query("cancel/open_chunk"), {"run_id": run_id, "chunk": number}).one_or_none()
    if found is None:
        raise LoyaltyError(f"run {run_id} has no chunk {number} to work on: it was not approved")
    settings = CancellationRun.model_validate(found.settings)
    return Chunk(run_id, number, found.first_profile_id, found.last_profile_id, settings)


def wait_for_other_workers(connection: Connection, chunk: Chunk) -> None:
    """Nobody else works on the chunk until this transaction ends."""
    connection.execute(query("cancel/one_worker"), {"run_id": chunk.run_id, "chunk": chunk.number})


def next_range(connection: Connection, chunk: Chunk, after: int, *, size: int) -> Range | None:
    """The next ``size`` members of the chunk after that profile; None where there are no more."""
    binds = {"run_id": chunk.run_id, "after": after, "last": chunk.last, "size": size}
    bound = connection.scalar(query("cancel/next_bound"), binds)
    return None if bound is None else Range(chunk, after, bound)
