"""The floor of a batch cancellation: the bare set statements that write its rows, with no guard and nothing computed.

They run in a copy of the same database, with the same partitions and indexes; one statement writes the rows of all
members. What stands between selection and completion (asked, deactivating) is a matter of the journey, and not written.
"""

from common import seconds
from sqlalchemy import Connection, text

EVENT = "profile_id, key, action, occurred_at, points, params, refers_to, run_id, source, event_id, recorded_at"
# The events as they will be written, made beforehand.
PREPARATION = (
    "SET session_replication_role = replica",
    f"""
    CREATE TABLE bench.locked ({EVENT}) AS
    SELECT profile_id, loyalty.lock_token(1, profile_id), 'points.locked', at, NULL::bigint, '{{}}'::jsonb, NULL::uuid,
           1::bigint, 'batch_cancellation', NULL::text, at
    FROM bench.expected CROSS JOIN clock_timestamp() AS at
    """,
    f"""
    CREATE TABLE bench.deactivated ({EVENT}) AS
    SELECT activation.profile_id, md5('deactivated:' || activation)::uuid, 'client.deactivatePromotion', at, points,
           jsonb_build_object('promotion', promotion, 'returnedPoints', points), activation, 1::bigint,
           'batch_cancellation', NULL::text, at
    FROM loyalty.promotion_activation AS activation CROSS JOIN clock_timestamp() AS at
    """,
    f"""
    CREATE TABLE bench.cancelled ({EVENT}) AS
    SELECT profile_id, loyalty.cancel_key(1, profile_id), 'points.cancel', at, -amount,
           jsonb_build_object('points', amount), NULL::uuid, 1::bigint, 'batch_cancellation', NULL::text, at
    FROM bench.expected CROSS JOIN clock_timestamp() AS at
    """,
    "ANALYZE bench.expected, bench.locked, bench.deactivated, bench.cancelled",
    """
    INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint)
    VALUES ('batch_cancellation', 'floor', clock_timestamp(), current_date, '{}', '')
    """,
)

# By the step of the journey that writes the same.
STATEMENTS = {
    "select": (
        "INSERT INTO loyalty.journey_member (run_id, profile_id, approved) "
        "SELECT 1, profile_id, approved FROM bench.expected",
    ),
    "lock": (
        "UPDATE loyalty.account SET lock_run_id = 1, lock_token = locked.key, "
        "lock_expires_at = locked.recorded_at + interval '2 hours' "
        "FROM bench.locked WHERE account.profile_id = locked.profile_id",
        f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.locked",
        "UPDATE loyalty.journey_member AS member SET state = 'locked', lock_requested_at = clock_timestamp(), "
        "locked_at = clock_timestamp(), lock_expires_at = clock_timestamp() + interval '2 hours', "
        "balance_locked = expected.balance_before "
        "FROM bench.expected WHERE member.run_id = 1 AND member.profile_id = expected.profile_id",
    ),
    "deactivate": (
        "UPDATE loyalty.promotion_activation AS activation SET state = 'deactivated', run_id = 1, "
        "ended_at = clock_timestamp() FROM bench.expected "
        "WHERE activation.profile_id = expected.profile_id AND activation.activation = expected.activation",
        f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.deactivated",
        "UPDATE loyalty.account SET balance = balance + returned, latest_at = clock_timestamp() "
        "FROM bench.expected WHERE account.profile_id = expected.profile_id AND returned > 0",
    ),
    "deduct": (
        f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.cancelled",
        "UPDATE loyalty.account SET balance = balance - amount, latest_at = clock_timestamp(), "
        "lock_expires_at = clock_timestamp() FROM bench.expected WHERE account.profile_id = expected.profile_id",
        "UPDATE loyalty.journey_member AS member SET state = 'completed', finished_at = clock_timestamp(), "
        "released_at = clock_timestamp(), points = amount, returned = expected.returned, "
        "balance_after = balance_before + expected.returned - amount "
        "FROM bench.expected WHERE member.run_id = 1 AND member.profile_id = expected.profile_id",
    ),
}


def measure_floor(connection: Connection) -> dict[str, float]:
    """The rows of a whole run are written; returns the seconds by step, each statement committed."""
    for statement in PREPARATION:
        _commit(connection, statement)
    return {
        step: sum(seconds(lambda one=one: _commit(connection, one)) for one in statements)
        for step, statements in STATEMENTS.items()
    }


def _commit(connection: Connection, statement: str) -> None:
    with connection.begin():
        connection.execute(text(statement))
