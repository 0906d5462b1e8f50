-- One noted reversal of each profile is written, as far as it brings the account to where it would be had it never earned
-- the points. The midnights up to the refund's own day count, whether they are settled or not: what expired at them, or was
-- spent, cannot be taken, and stands in the event. What expired after the refund, and would not have, is given back.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), wanted AS MATERIALIZED (
    SELECT r.profile_id, r.key, r.award_key, r.rule, r.occurred_at, r.points AS refunded,
           loyalty.day_after(r.occurred_at, program.timezone) - 1 AS day,
           greatest(0, least(r.points, lot.points)) AS points, level.lowest
    FROM reversal AS r CROSS JOIN loyalty.program
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.amount), 0)::bigint AS points FROM loyalty.points_entry AS p
        WHERE p.profile_id = r.profile_id AND p.lot_key = r.award_key
    ) AS lot
    CROSS JOIN LATERAL (
        SELECT min(passed.held) AS lowest
        FROM (
            SELECT sum(CASE p.side WHEN 'collected' THEN p.amount ELSE -p.amount END) OVER times AS held, lead(p.at) OVER times AS until
            FROM loyalty.points_entry AS p WHERE p.profile_id = r.profile_id AND p.side <> 'expired'
            WINDOW times AS (ORDER BY p.at)
        ) AS passed WHERE passed.until IS NULL OR passed.until > r.occurred_at
    ) AS level
    WHERE r.place = :place
), story AS (
    SELECT true AS is_real, s.profile_id, s.midnight, s.demanded
    FROM loyalty.settlement((SELECT array_agg(profile_id) FROM wanted)) AS s
    UNION ALL
    SELECT false, s.profile_id, s.midnight, s.demanded
    FROM (SELECT array_agg(profile_id) AS ids, array_agg(award_key) AS awards, array_agg(points) AS points FROM wanted) AS less
    CROSS JOIN LATERAL loyalty.settlement(less.ids, less.ids, less.awards, less.points) AS s
), expired AS (
    SELECT wanted.profile_id, coalesce(max(story.demanded) FILTER (WHERE story.is_real), 0) AS as_it_is,
           coalesce(max(story.demanded) FILTER (WHERE NOT story.is_real), 0) AS without
    FROM wanted LEFT JOIN story ON story.profile_id = wanted.profile_id AND story.midnight <= wanted.day
    GROUP BY wanted.profile_id
), split AS MATERIALIZED (
    SELECT wanted.*, greatest(0, least(wanted.points + expired.without, wanted.lowest) - expired.as_it_is)::bigint AS taken
    FROM wanted JOIN expired USING (profile_id)
), night AS (
    SELECT s.profile_id, s.midnight, s.entry_count, s.demanded - coalesce(lag(s.demanded) OVER nights, 0) - s.recorded AS points
    FROM (
        SELECT array_agg(profile_id) AS ids, array_agg(award_key) AS awards, array_agg(taken) AS points,
               array_agg(occurred_at) AS times FROM split
    ) AS less
    CROSS JOIN LATERAL loyalty.settlement(less.ids, less.ids, less.awards, less.points, less.times) AS s
    WINDOW nights AS (PARTITION BY s.profile_id ORDER BY s.midnight)
), written AS (
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, recorded_at)
    SELECT split.profile_id, split.key, 'points.reverse', split.occurred_at, -split.taken,
           jsonb_build_object('points', taken, 'rule', rule, 'refunded', refunded, 'notTaken', refunded - taken),
           split.award_key, 'award_points', clock.now
    FROM split CROSS JOIN clock
    UNION ALL
    SELECT night.profile_id, loyalty.settlement_key(night.profile_id, night.midnight, night.entry_count + 1), 'points.restore',
           loyalty.midnight(night.midnight, program.timezone), -night.points,
           jsonb_build_object('points', -night.points, 'midnight', night.midnight),
           loyalty.settlement_key(night.profile_id, night.midnight, 1), 'rolling_expiry', clock.now
    FROM night CROSS JOIN loyalty.program CROSS JOIN clock WHERE night.points < 0
    ORDER BY 1, 2
    RETURNING action, points, params
)
SELECT count(*) AS reversal_count, coalesce(-sum(points), 0)::bigint AS reversed,
       coalesce(sum((params ->> 'notTaken')::bigint), 0)::bigint AS not_taken
FROM written WHERE action = 'points.reverse'
