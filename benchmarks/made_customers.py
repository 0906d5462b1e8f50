"""Customers with about ten events each, made on the server from a seed; each has points that a cancellation takes.

Everybody bought four times: once so long ago that the points have expired, twice or three times before the time that a
cancellation spares, else within it. Every twentieth paid for a promotion, which is active. Events lie in the table in
the order of time, as if recorded when they happened: those of one customer are far from each other.
"""

from sqlalchemy import Connection, text

# The guards are off, which would take most of the time; what they would have written is written here.
# Days of purchases keep a distance from the instants that decide: 182 days of validity, and a month that is spared.
MAKING = (
    "SET LOCAL session_replication_role = replica",
    "CREATE SCHEMA bench",
    """
    CREATE FUNCTION bench.draw(who bigint, what integer) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(who, what) & 9007199254740991) / 9007199254740992.0::double precision
    """,
    """
    INSERT INTO loyalty.profile (customer_id, attributes, created_at)
    SELECT 'customer-' || n, jsonb_build_object('country', CASE WHEN n % 10 = 0 THEN 'DE' ELSE 'PL' END),
           CAST(:now AS timestamptz) - interval '400 days'
    FROM generate_series(1, CAST(:members AS integer)) AS n
    """,
    """
    CREATE TEMPORARY TABLE purchase AS
    SELECT profile_id, n, n = 0 AS has_expired, days < 30 AS is_recent,
           CAST(:now AS timestamptz) - days * interval '1 day' AS at,
           60 + floor(bench.draw(profile_id, CAST(:seed AS integer) * 100 + 10 + n) * 200)::bigint AS points,
           md5('purchase:' || profile_id || ':' || n)::uuid AS key
    FROM (
        SELECT profile_id, n, CASE
            WHEN n = 0 THEN 200 + drawn * 160
            WHEN n = 3 AND profile_id % 2 = 0 THEN 1 + drawn * 23
            ELSE 40 + drawn * 135 END AS days
        FROM (
            SELECT profile_id, n, bench.draw(profile_id, CAST(:seed AS integer) * 100 + n) AS drawn
            FROM loyalty.profile CROSS JOIN generate_series(0, 3) AS n
        ) AS draws
    ) AS dated
    """,
    """
    INSERT INTO loyalty.promotion_activation (profile_id, activation, promotion, points, activated_at, lapses_at)
    SELECT profile_id, md5('activation:' || profile_id)::uuid, promotion, required_points, at,
           loyalty.local_instant(timezone(:zone, at) + make_interval(days => valid_days), :zone)
    FROM loyalty.promotion CROSS JOIN LATERAL (
        SELECT profile_id, CAST(:now AS timestamptz)
               - (1 + bench.draw(profile_id, CAST(:seed AS integer) * 100 + 20) * 9) * interval '1 day' AS at
        FROM loyalty.profile WHERE profile_id % 20 = 0
    ) AS paid
    """,
    """
    INSERT INTO loyalty.event
        (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
    SELECT profile_id, key, action, at, points, params, refers_to, source, event_id, at FROM (
        SELECT profile_id, key, 'transaction.charge' AS action, at, NULL::bigint AS points,
               jsonb_build_object('$totalAmount', points + 0.5, '$orderID', bought) AS params,
               NULL::uuid AS refers_to, 'shop' AS source, bought AS event_id
        FROM purchase CROSS JOIN concat('order-', profile_id, '-', n) AS bought
        UNION ALL
        SELECT profile_id, md5('award:purchase:' || key)::uuid, 'points.loyalty', at, points, jsonb_build_object(
                   'points', points, 'rule', 'purchase', 'amount', points + 0.5, 'points_per_unit', 1),
               key, 'award_points', NULL
        FROM purchase
        UNION ALL
        SELECT profile_id, loyalty.settlement_key(profile_id, due_on, 1), 'points.expire', midnight, -points,
               jsonb_build_object('points', points, 'midnight', due_on), NULL, 'rolling_expiry', NULL
        FROM purchase CROSS JOIN loyalty.due_on(at, 182, :zone) CROSS JOIN loyalty.midnight(due_on, :zone)
        WHERE has_expired
        UNION ALL
        SELECT profile_id, md5('visit:' || profile_id)::uuid, 'page.visit', at + interval '1 hour', NULL,
               jsonb_build_object('page', '/points'), NULL, 'app', NULL
        FROM purchase WHERE n = 1
        UNION ALL
        SELECT profile_id, activation, 'client.activatePromotion', activated_at, -points, jsonb_build_object(
                   'promotion', promotion, 'promotionRequireRedeemedPoints', points), NULL, 'shop', NULL
        FROM loyalty.promotion_activation
    ) AS made
    ORDER BY at
    """,
    """
    INSERT INTO loyalty.account (profile_id, balance, booked_by, latest_at, settle_on)
    SELECT profile_id, earned.points - coalesce(paid.points, 0), pg_current_xact_id(),
           greatest(earned.latest_at, expired.at, paid.activated_at), loyalty.due_on(earned.first_at, 182, :zone)
    FROM (
        SELECT profile_id, sum(points) AS points, min(at) AS first_at, max(at) AS latest_at
        FROM purchase WHERE NOT has_expired GROUP BY profile_id
    ) AS earned
    JOIN (
        SELECT profile_id, loyalty.midnight(loyalty.due_on(at, 182, :zone), :zone) AS at FROM purchase WHERE has_expired
    ) AS expired USING (profile_id)
    LEFT JOIN loyalty.promotion_activation AS paid USING (profile_id)
    ORDER BY profile_id
    """,
    """
    INSERT INTO loyalty.points_flow (day, effect, slot, points, event_count)
    SELECT loyalty.book_day(occurred_at, :zone), effect, 0, sum(event.points), count(*)
    FROM loyalty.event JOIN loyalty.action USING (action) WHERE event.points IS NOT NULL GROUP BY 1, 2
    """,
    "UPDATE loyalty.program SET settled_through = timezone(:zone, CAST(:now AS timestamptz))::date",
    # What a run must come to: all that is neither expired nor recent. What a promotion returns goes with the rest.
    """
    CREATE TABLE bench.expected AS
    SELECT profile_id, account.balance AS balance_before, old.points - coalesce(paid.points, 0) AS approved,
           coalesce(paid.points, 0) AS returned, old.points AS amount, paid.activation
    FROM (
        SELECT profile_id, sum(points)::bigint AS points FROM purchase
        WHERE NOT has_expired AND NOT is_recent GROUP BY profile_id
    ) AS old
    JOIN loyalty.account USING (profile_id)
    LEFT JOIN loyalty.promotion_activation AS paid USING (profile_id)
    ORDER BY profile_id
    """,
)
# What must hold after a run, and after its floor: no row.
CHECKS = {
    "cancelled is what was to be cancelled": """
        SELECT FROM bench.expected FULL JOIN (
            SELECT profile_id, -sum(points) AS points FROM loyalty.event
            WHERE action = 'points.cancel' GROUP BY profile_id
        ) AS cancelled USING (profile_id)
        WHERE expected.amount IS DISTINCT FROM cancelled.points
        """,
    "members hold the same": """
        SELECT FROM bench.expected FULL JOIN loyalty.journey_member AS member USING (profile_id)
        WHERE (member.state, member.approved, member.points, member.returned) IS DISTINCT FROM
                  ('completed', expected.approved, expected.amount, expected.returned)
           OR member.balance_locked IS DISTINCT FROM expected.balance_before
           OR member.balance_after IS DISTINCT FROM expected.balance_before + expected.returned - expected.amount
        """,
    "balances are the sums of events": """
        SELECT FROM loyalty.account FULL JOIN (
            SELECT profile_id, sum(points) AS points FROM loyalty.event GROUP BY profile_id
        ) AS total USING (profile_id)
        WHERE account.balance IS DISTINCT FROM total.points
        """,
    "everybody was locked, and nobody is": """
        SELECT FROM loyalty.account WHERE coalesce(lock_expires_at > clock_timestamp(), true)
        """,
    "promotions are deactivated": "SELECT FROM loyalty.promotion_activation WHERE state <> 'deactivated'",
    "locks and deactivations are confirmed once": """
        SELECT action, count(*) FROM loyalty.event
        WHERE run_id IS NOT NULL AND action <> 'points.cancel' GROUP BY action
        EXCEPT SELECT 'points.locked', count(*) FROM bench.expected
        EXCEPT SELECT 'client.deactivatePromotion', count(activation) FROM bench.expected
        """,
}


def make_customers(connection: Connection, *, members: int, seed: int, zone: str) -> None:
    """So many customers, their events, accounts and promotions; ``bench.expected`` says what a run must take."""
    with connection.begin():
        now = connection.scalar(text("SELECT clock_timestamp()"))
        binds = {"now": now, "members": members, "seed": seed, "zone": zone}
        for statement in MAKING:
            connection.execute(text(statement), binds)


def check(connection: Connection) -> None:
    """What was written is what the making of the customers says must be; else an error says what is not."""
    with connection.begin():
        for name, statement in CHECKS.items():
            found = connection.execute(text(f"SELECT count(*) FROM ({statement}) AS wrong")).scalar_one()
            assert found == 0, f"{name}: not so for {found} rows"
