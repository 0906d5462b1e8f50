"""A batch cancellation step by step, and what its customers look like before it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from ledger import profile, program_of, record
from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.chunks import Range, open_chunk
from loyalty.services.deactivate_promotions import deactivate_promotions, start_deactivation_wait
from loyalty.services.decide_run import decide_run
from loyalty.services.deduct_points import deduct_points
from loyalty.services.fail_unconfirmed import fail_undeactivated, fail_unlocked
from loyalty.services.filter_clients import filter_clients
from loyalty.services.journey_runs import RunTotals
from loyalty.services.lock_balances import grant_locks, request_locks, start_lock_wait
from loyalty.services.release_locks import release_locks

QUICK = {"lock_minutes": 0.5, "lock_wait_minutes": 0.05, "deactivation_wait_minutes": 0.05, "margin_minutes": 0.1}
PROMOTIONS = [
    {"name": "coffee", "title": "A coffee", "required_points": 50},
    {"name": "mug", "title": "A mug", "required_points": 120},
]
LONG_AGO = timedelta(days=90)
Step = Callable[[Connection, Range], object]
Prepared = Callable[..., Range]
LOCKED: tuple[Step, ...] = (grant_locks, request_locks)
ASKED = (*LOCKED, filter_clients)
RETURNED = (*ASKED, deactivate_promotions)


def program_with(**cancellation: object) -> Program:
    """A program with two promotions whose cancellation waits for seconds, in as few chunks as their size allows."""
    asked = QUICK | {"chunks_at_once": 1} | cancellation
    return program_of(promotions=PROMOTIONS, cancellation=asked, batch_size=3)


def now() -> datetime:
    return datetime.now(UTC)


def customer(connection: Connection, name: str, points: int, *, recent: int = 0, country: str | None = None) -> int:
    """A customer with points earned long ago, and some just now."""
    who = profile(connection, name)
    if country:
        connection.execute(
            text(
                "UPDATE loyalty.profile SET attributes = jsonb_build_object('country', CAST(:c AS text)) "
                "WHERE profile_id = :p"
            ),
            {"c": country, "p": who},
        )
    if points:
        record(connection, who, "points.loyalty", now() - LONG_AGO, points)
    if recent:
        record(connection, who, "points.loyalty", now() - timedelta(days=2), recent)
    return who


def activate(connection: Connection, name: str, promotion: str) -> UUID:
    """The customer activates the promotion; the key of the activation."""
    return connection.execute(
        text("SELECT (loyalty.activate_promotion(:c, :p)).activation"), {"c": name, "p": promotion}
    ).scalar_one()


def start(
    connection: Connection, program: Program, *, key: str | None = None, decision: str = "approved", **asked: Any
) -> int:
    """A run that is frozen, approved, and cut into chunks."""
    run = journey.settings_of(program, **asked)
    own, catalog = journey.catalog_of_run(load_catalog, program, run)
    run_id = journey.snapshot(connection, own, catalog, run, run_key=key or str(uuid4()))
    with connection.begin():
        decide_run(connection, run_id, decision, decided_by="tester")  # type: ignore[arg-type]
    journey.cut(connection, run_id, size=program.batch_size)
    return run_id


def chunks(connection: Connection, run_id: int) -> list[int]:
    return journey.cut(connection, run_id, size=1)


def cancel(connection: Connection, program: Program, **asked: Any) -> RunTotals:
    """A whole run."""
    run_id = start(connection, program, **asked)
    for number in chunks(connection, run_id):
        journey.cancel_chunk(connection, run_id, number, size=program.batch_size, mail=program.mail)
    return journey.finish(connection, run_id)


def members(connection: Connection, run_id: int) -> dict[str, Any]:
    """Each member of the run by customer."""
    with connection.begin():
        rows = connection.execute(
            text(
                "SELECT customer_id, m.* FROM loyalty.journey_member m JOIN loyalty.profile USING (profile_id) "
                "WHERE run_id = :r"
            ),
            {"r": run_id},
        ).all()
    return {row.customer_id: row for row in rows}


def points_by_customer(rows: dict[str, Any], field: str = "points") -> dict[str, Any]:
    return {name: getattr(row, field) for name, row in rows.items()}


def part_of(connection: Connection, run_id: int, number: int = 0) -> Range:
    """A chunk of the run as one range."""
    with connection.begin():
        return open_chunk(connection, run_id, number).all


def each(connection: Connection, part: Range, *steps: Step) -> None:
    """The steps one after the other, a transaction each."""
    for step in steps:
        with connection.begin():
            step(connection, part)


def hold_accounts(connection: Connection) -> None:
    """Nobody else comes by any account until the transaction ends."""
    connection.execute(text("SELECT FROM loyalty.account ORDER BY profile_id FOR NO KEY UPDATE"))


def deadlines_come(connection: Connection, part: Range) -> None:
    """The chunk's deadlines, as far as they are set, have come."""
    connection.execute(
        text(
            "UPDATE loyalty.journey_chunk SET lock_deadline_at = least(lock_deadline_at, now()), "
            "deactivation_deadline_at = least(deactivation_deadline_at, now()) WHERE run_id = :run_id"
        ),
        part.binds,
    )


def locks_end(connection: Connection, part: Range) -> None:
    """The locks of the run have ended by themselves."""
    for member_or_account, run in (("journey_member", "run_id"), ("account", "lock_run_id")):
        connection.execute(
            text(f"UPDATE loyalty.{member_or_account} SET lock_expires_at = clock_timestamp() WHERE {run} = :run_id"),
            part.binds,
        )


def conclude(connection: Connection, run_id: int, *answers: Step) -> RunTotals:
    """A run whose locks were asked for goes on to its end; it waits for nothing but the ``answers``."""
    for number in chunks(connection, run_id):
        part = part_of(connection, run_id, number)
        each(connection, part, wait_for_locks, deadlines_come, fail_unlocked, filter_clients, deactivate_promotions)
        each(connection, part, wait_for_deactivations, *answers, deadlines_come, fail_undeactivated)
        each(connection, part, deduct_points, release_locks)
    return journey.finish(connection, run_id)


def wait_for_locks(connection: Connection, part: Range) -> None:
    start_lock_wait(connection, part.chunk)


def wait_for_deactivations(connection: Connection, part: Range) -> None:
    start_deactivation_wait(connection, part.chunk)


def confirm(connection: Connection, run_id: int, *names: str, token: UUID | None = None) -> None:
    """An outside engine confirms the locks of the customers."""
    answer(connection, run_id, "points.locked", *names, token=token)


def answer(
    connection: Connection, run_id: int, action: str, *names: str, token: UUID | None = None, **params: object
) -> None:
    """An outside engine says something about the run's requests to the customers."""
    for name in names:
        who = profile(connection, name)
        shown = token or connection.scalar(text("SELECT loyalty.lock_token(:r, :p)"), {"r": run_id, "p": who})
        record(connection, who, action, now(), params={"run": run_id, "token": str(shown)} | params, source="engine")


def deactivate_outside(connection: Connection, name: str, activation: UUID, points: int) -> None:
    """An outside engine deactivates the customer's promotion."""
    who = profile(connection, name)
    record(connection, who, "client.deactivatePromotion", now(), points, refers_to=activation, source="engine")


def states(connection: Connection, run_id: int) -> dict[str, tuple[str, str | None]]:
    """How far each member of the run is, and why it failed."""
    return {name: (row.state, row.reason) for name, row in members(connection, run_id).items()}


def promotions(connection: Connection, name: str) -> list[str]:
    """The states of the customer's promotions in the order of their activation."""
    with connection.begin():
        return list(
            connection.scalars(
                text(
                    "SELECT a.state FROM loyalty.promotion_activation a JOIN loyalty.profile USING (profile_id) "
                    "WHERE customer_id = :c ORDER BY activated_at"
                ),
                {"c": name},
            )
        )


def actions(connection: Connection, name: str) -> Counter[str]:
    """How often what is recorded of the customer."""
    with connection.begin():
        return Counter(
            connection.scalars(
                text("SELECT action FROM loyalty.event JOIN loyalty.profile USING (profile_id) WHERE customer_id = :c"),
                {"c": name},
            )
        )


TABLES = ("event", "account", "promotion_activation", "journey_run", "journey_chunk", "journey_member")
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\",)]*|(?<=\"booked_by\":\")\d+")


def picture(connection: Connection, *tables: str) -> dict[str, list[str]]:
    """All that the ledger and the journeys hold, or these tables."""
    with nullcontext() if connection.in_transaction() else connection.begin():
        return {
            name: list(connection.scalars(text(f"SELECT row_to_json(t)::text FROM loyalty.{name} t ORDER BY 1")))
            for name in tables or TABLES
        }


def outcome(connection: Connection) -> dict[str, list[str]]:
    """The picture without its times, and the numbers of its transactions."""
    return {name: sorted(TIMES.sub("then", row) for row in rows) for name, rows in picture(connection).items()}


HELD_FOR_NOTHING = text(
    "SELECT customer_id FROM loyalty.profile JOIN loyalty.journey_member AS member USING (profile_id) "
    "WHERE member.state IN ('completed', 'failed') AND (EXISTS ("
    "SELECT FROM loyalty.account AS a WHERE a.profile_id = profile.profile_id AND a.lock_run_id = member.run_id "
    "AND a.lock_expires_at > clock_timestamp()) OR EXISTS ("
    "SELECT FROM loyalty.promotion_activation AS a WHERE a.profile_id = profile.profile_id "
    "AND a.run_id = member.run_id AND a.state = 'deactivating'))"
)


def held_for_nothing(connection: Connection) -> list[str]:
    """Customers whose balance or promotion a run holds that has done with them."""
    with nullcontext() if connection.in_transaction() else connection.begin():
        return list(connection.scalars(HELD_FOR_NOTHING))


EVENTS = text("SELECT action, points, occurred_at, recorded_at FROM loyalty.event WHERE profile_id = :id")
RUN = text("SELECT frozen_at, as_of, spared_from FROM loyalty.journey_run WHERE run_id = :id")


def due_points(connection: Connection, run_id: int) -> dict[str, int]:
    """What each member owed, told from its events alone; of who failed, nothing.

    That is the balance just before, less what came in since the freeze and what was earned in the spared time.
    """
    rows = members(connection, run_id)
    with connection.begin():
        run = connection.execute(RUN, {"id": run_id}).one()
        return {
            name: _due_points(run, row, connection.execute(EVENTS, {"id": row.profile_id}).all())
            for name, row in rows.items()
            if row.state == "completed"
        } | {name: 0 for name, row in rows.items() if row.state == "failed"}


def _due_points(run: Any, member: Any, events: Sequence[Any]) -> int:
    before = [e for e in events if e.points and e.recorded_at < member.released_at]
    gains = [e for e in before if e.points > 0 and e.action != "client.deactivatePromotion"]
    news = [e for e in gains if e.recorded_at >= run.frozen_at or e.occurred_at >= run.as_of]
    spared = [e for e in gains if e.action == "points.loyalty" and e.occurred_at >= run.spared_from]
    return max(0, sum(e.points for e in before) - sum(e.points for e in gains if e in news or e in spared))
