"""The rows of a batch cancellation, as bare statements.

What stands between selection and completion (asked, deactivating) is a matter of the journey, and not written.
"""

from floor import Floor

EVENT = "profile_id, key, action, occurred_at, points, params, refers_to, run_id, source, event_id, recorded_at"
PART = "BETWEEN :first AND :last"
FLOOR = Floor(
    profiles="bench.expected",
    preparation=(
        f"""
        CREATE TABLE bench.locked ({EVENT}) AS
        SELECT profile_id, loyalty.lock_token(1, profile_id), 'points.locked', at, NULL::bigint, '{{}}'::jsonb,
               NULL::uuid, 1::bigint, 'batch_cancellation', NULL::text, at
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
    ),
    statements={
        "select": (
            "INSERT INTO loyalty.journey_member (run_id, profile_id, approved) "
            f"SELECT 1, profile_id, approved FROM bench.expected WHERE profile_id {PART}",
        ),
        "lock": (
            "UPDATE loyalty.account SET lock_run_id = 1, lock_token = locked.key, "
            "lock_expires_at = locked.recorded_at + interval '2 hours' "
            f"FROM bench.locked WHERE account.profile_id = locked.profile_id AND locked.profile_id {PART}",
            f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.locked WHERE profile_id {PART}",
            "UPDATE loyalty.journey_member AS member SET state = 'locked', lock_requested_at = clock_timestamp(), "
            "locked_at = clock_timestamp(), lock_expires_at = clock_timestamp() + interval '2 hours', "
            "balance_locked = expected.balance_before FROM bench.expected "
            f"WHERE member.run_id = 1 AND member.profile_id = expected.profile_id AND expected.profile_id {PART}",
        ),
        "deactivate": (
            "UPDATE loyalty.promotion_activation AS activation SET state = 'deactivated', run_id = 1, "
            "ended_at = clock_timestamp() FROM bench.expected WHERE activation.profile_id = expected.profile_id "
            f"AND activation.activation = expected.activation AND expected.profile_id {PART}",
            f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.deactivated WHERE profile_id {PART}",
            "UPDATE loyalty.account SET balance = balance + returned, latest_at = clock_timestamp() "
            "FROM bench.expected "
            f"WHERE account.profile_id = expected.profile_id AND returned > 0 AND expected.profile_id {PART}",
        ),
        "deduct": (
            f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.cancelled WHERE profile_id {PART}",
            "UPDATE loyalty.account SET balance = balance - amount, latest_at = clock_timestamp(), "
            "lock_expires_at = clock_timestamp() FROM bench.expected "
            f"WHERE account.profile_id = expected.profile_id AND expected.profile_id {PART}",
            "UPDATE loyalty.journey_member AS member SET state = 'completed', finished_at = clock_timestamp(), "
            "released_at = clock_timestamp(), points = amount, returned = expected.returned, "
            "balance_after = balance_before + expected.returned - amount FROM bench.expected "
            f"WHERE member.run_id = 1 AND member.profile_id = expected.profile_id AND expected.profile_id {PART}",
        ),
    },
)
