"""Freeze whom a batch cancellation is about, and how many points each is to lose."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from loyalty.compile import compile_segment
from loyalty.compile.periods import back
from loyalty.errors import LoyaltyError
from loyalty.model.cancellation import CancellationRun
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.store.queries import query
from loyalty.store.tables import journey_member
from loyalty.store.temporary import keep_rows

JOURNEY = "batch_cancellation"
AMOUNT = "points_to_cancel"
MAY_COME_AGAIN = ("lock_timeout", "lock_expired", "deactivation_timeout", "engine_error")


def freeze_audience(
    connection: Connection, program: Program, catalog: Catalog, run: CancellationRun, *, run_key: str
) -> int:
    """The run of this key has its members, each with the points to cancel; frozen once, whatever is retried.

    ``program`` and ``catalog`` are those of the run's own settings. Members of an excluded segment or country have
    failed already. Returns the run's id.
    """
    # In a statement of its own: the next ones see at least what this one says that they do.
    now = connection.execute(text("SELECT clock_timestamp() AS at, pg_current_snapshot()::text AS snapshot")).one()
    first = _first_round(connection, run)
    as_of = first.as_of if first else run.as_of or now.at
    opened = connection.execute(
        query("cancel/open_run"), _record(connection, program, catalog, run, first, as_of, run_key)
    ).one()
    run_id = int(opened.run_id)
    if opened.frozen_at is not None:
        return run_id
    if opened.is_future:
        raise LoyaltyError(f"as-of {as_of.isoformat()} lies in the future: a run speaks about what has happened")
    if first:
        connection.execute(
            query("cancel/select_failed"),
            {"run_id": run_id, "audience_of": run.second_round_of, "reasons": list(MAY_COME_AGAIN)},
        )
    else:
        _select(connection, program, catalog, run, run_id, as_of)
    _exclude(connection, program, catalog, run, run_id, as_of)
    connection.execute(query("note_members"), {"run_id": run_id})
    frozen_at, snapshot = (first.frozen_at, first.frozen_snapshot) if first else (now.at, now.snapshot)
    connection.execute(
        query("cancel/freeze_run"), {"run_id": run_id, "frozen_at": frozen_at, "frozen_snapshot": snapshot}
    )
    return run_id


def _first_round(connection: Connection, run: CancellationRun) -> Row[Any] | None:
    if run.second_round_of is None:
        return None
    first = connection.execute(query("cancel/first_round"), {"run_id": run.second_round_of}).one_or_none()
    if first is None or first.journey != JOURNEY:
        raise LoyaltyError(f"{run.second_round_of} is no run of the batch cancellation: there is no second round of it")
    if first.state != "completed":
        raise LoyaltyError(f"run {run.second_round_of} is {first.state}: only a completed run has a second round")
    return first


def _record(
    connection: Connection,
    program: Program,
    catalog: Catalog,
    run: CancellationRun,
    first: Row[Any] | None,
    as_of: datetime,
    run_key: str,
) -> dict[str, object]:
    """What the run is computed from; a second round is computed from what the first was."""
    spared_from = (
        first.spared_from
        if first
        else connection.scalar(select(back(program.timezone, run.spared)).params(as_of=as_of))
    )
    return {
        "run_key": run_key,
        "as_of": as_of,
        "spared_from": spared_from,
        "settings": run.model_dump_json(),
        "audience_of": run.second_round_of,
        "definitions": json.dumps(first.definitions if first else catalog.to_json()),
        "fingerprint": first.fingerprint if first else catalog.fingerprint(),
    }


def _select(
    connection: Connection, program: Program, catalog: Catalog, run: CancellationRun, run_id: int, as_of: datetime
) -> None:
    amount = catalog.value(AMOUNT)
    segment = compile_segment(catalog, program, catalog.segment(run.segment), [amount]).params(as_of=as_of)
    chosen = keep_rows(connection, "chosen", segment)
    members = select(literal(run_id), chosen.c.profile_id, chosen.c[AMOUNT]).order_by(chosen.c.profile_id)
    connection.execute(insert(journey_member).from_select(["run_id", "profile_id", "approved"], members))


def _exclude(
    connection: Connection, program: Program, catalog: Catalog, run: CancellationRun, run_id: int, as_of: datetime
) -> None:
    if run.exclude_segment:
        excluded = compile_segment(catalog, program, catalog.segment(run.exclude_segment)).params(as_of=as_of)
        connection.execute(
            update(journey_member)
            .where(journey_member.c.run_id == run_id, journey_member.c.state == "selected")
            .where(journey_member.c.profile_id.in_(excluded))
            .values(
                state="failed",
                reason="excluded",
                detail=f"segment {run.exclude_segment}",
                finished_at=text("clock_timestamp()"),
            )
        )
    if run.exclude_countries:
        connection.execute(
            query("cancel/exclude_countries"), {"run_id": run_id, "countries": list(run.exclude_countries)}
        )
