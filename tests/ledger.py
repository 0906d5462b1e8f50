"""Writing to a ledger and reading it back, by the shortest way: SQL of the tests' own."""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from loyalty.definitions.balance import balance_catalog
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.services.journey_runs import RunTotals
from loyalty.services.rolling_expiry import run_rolling_expiry

AMOUNT = {
    "client.activatePromotion": ("promotionRequireRedeemedPoints", -1),
    "client.deactivatePromotion": ("returnedPoints", 1),
    "points.reverse": ("points", -1),
    "points.cancel": ("points", -1),
    "points.restore": ("points", 1),
    "points.expire": ("points", -1),
}
INSERT = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, run_id) "
    "VALUES (:profile_id, :key, :action, :at, :points, :params, :refers_to, :source, :run_id)"
)


def profile(connection: Connection, customer_id: str, attributes: Mapping[str, object] | None = None) -> int:
    """The profile of the customer, made where there is none."""
    connection.execute(
        text("INSERT INTO loyalty.profile (customer_id, attributes) VALUES (:c, :a) ON CONFLICT DO NOTHING"),
        {"c": customer_id, "a": json.dumps(attributes or {})},
    )
    return int(
        connection.scalar(text("SELECT profile_id FROM loyalty.profile WHERE customer_id = :c"), {"c": customer_id})
    )


def record(
    connection: Connection,
    profile_id: int,
    action: str,
    at: datetime,
    points: int | None = None,
    *,
    key: UUID | None = None,
    refers_to: UUID | None = None,
    params: Mapping[str, object] | None = None,
    source: str = "test",
    run_id: int | None = None,
) -> UUID:
    """The event is recorded; ``points`` is the amount as the action's parameter holds it."""
    key = key or uuid4()
    parameter, sign = AMOUNT.get(action, ("points", 1))
    body = dict(params or {}) | ({} if points is None else {parameter: points})
    connection.execute(
        INSERT,
        {
            "profile_id": profile_id,
            "key": key,
            "action": action,
            "at": at,
            "points": None if points is None else sign * points,
            "params": json.dumps(body),
            "refers_to": refers_to,
            "source": source,
            "run_id": run_id,
        },
    )
    return key


def expired(connection: Connection, profile_id: int | None = None) -> dict[tuple[int, date], int]:
    """The net expiry recorded for each profile and midnight (of the program's zone), zeros left out."""
    rows = connection.execute(
        text(
            "SELECT e.profile_id, timezone(p.timezone, e.occurred_at)::date AS midnight, "
            "-sum(e.points)::bigint AS points FROM loyalty.event e CROSS JOIN loyalty.program p "
            "WHERE e.source = 'rolling_expiry' AND (CAST(:id AS bigint) IS NULL OR e.profile_id = :id) "
            "GROUP BY 1, 2 HAVING sum(e.points) <> 0"
        ),
        {"id": profile_id},
    )
    return {(row.profile_id, row.midnight): row.points for row in rows}


def balance(connection: Connection, profile_id: int) -> int:
    return int(
        connection.scalar(text("SELECT balance FROM loyalty.account WHERE profile_id = :id"), {"id": profile_id})
    )


def balances(connection: Connection, customers: Iterable[str] | None = None) -> dict[str, int]:
    rows = connection.execute(
        text("SELECT customer_id, balance FROM loyalty.account JOIN loyalty.profile USING (profile_id)")
    )
    found = {row.customer_id: row.balance for row in rows}
    return found if customers is None else {name: found[name] for name in customers}


def wipe(connection: Connection) -> None:
    """The ledger is empty again, guards or not, and nothing is settled."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        text(
            "TRUNCATE loyalty.event, loyalty.account, loyalty.profile, loyalty.promotion_activation, "
            "loyalty.journey_run, loyalty.journey_chunk, loyalty.journey_member, loyalty.journey_progress, "
            "loyalty.email_progress, loyalty.email, loyalty.reminder, loyalty.email_suppression, loyalty.delivery, "
            "loyalty.event_source, loyalty.sync_rejection, "
            "loyalty.expiry_calendar, loyalty.points_flow, "
            "loyalty.daily_close, loyalty.daily_close_ageing, loyalty.daily_close_cohort"
        )
    )
    connection.execute(text("UPDATE loyalty.program SET settled_through = '0001-01-01', fingerprint = ''"))
    connection.execute(text("SET LOCAL session_replication_role = origin"))


def program_of(zone: str = "UTC", validity: Mapping[str, int | None] | None = None, **others: object) -> Program:
    """A program in this zone with these kinds of points, by default points.loyalty for 182 days."""
    kinds = validity if validity is not None else {"points.loyalty": 182}
    return Program.model_validate(
        {
            "name": "test",
            "timezone": zone,
            "currency": "EUR",
            "point_value": "0.01",
            "earning_actions": {kind: {"validity_days": days} for kind, days in kinds.items()},
            **others,
        }
    )


def settle(connection: Connection, program: Program, day: date, *, segment: str = "points_to_expire") -> RunTotals:
    """A whole run of the rolling expiry as of the day, under a key of its own."""
    return run_rolling_expiry(
        connection,
        program,
        catalog_of(program.model_dump_json()),
        run_key=str(uuid4()),
        business_date=day,
        segment=segment,
        ahead=True,
    )


@lru_cache
def catalog_of(program_json: str) -> Catalog:
    return balance_catalog(Program.model_validate_json(program_json))
