-- The noted reversals are written, as far as they bring an account to where it would be had it never earned the points;
-- what could not be taken, because it had expired or was spent, stands in the event.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), wanted AS MATERIALIZED (
    SELECT array_agg(DISTINCT profile_id) AS ids, array_agg(profile_id) AS profiles, array_agg(award_key) AS awards,
           array_agg(points) AS points
    FROM reversal
), night AS (
    SELECT 'as it is' AS story, s.* FROM wanted CROSS JOIN LATERAL loyalty.settlement(wanted.ids) AS s
    UNION ALL
    SELECT 'without', s.* FROM wanted
    CROSS JOIN LATERAL loyalty.settlement(wanted.ids, wanted.profiles, wanted.awards, wanted.points) AS s
), horizon AS (
    SELECT night.profile_id, greatest(program.settled_through, max(night.midnight) FILTER (WHERE night.entry_count > 0)) AS day
    FROM night CROSS JOIN loyalty.program GROUP BY night.profile_id, program.settled_through
), standing AS (
    SELECT night.profile_id, night.story,
           greatest(0, max(night.closing) FILTER (WHERE night.is_last)
                       - coalesce(max(night.demanded) FILTER (WHERE night.midnight <= horizon.day), 0)) AS balance
    FROM night JOIN horizon USING (profile_id) GROUP BY night.profile_id, night.story
), can_take AS (
    SELECT real.profile_id, greatest(0, least(real.balance - other.balance, account.balance)) AS points
    FROM standing AS real JOIN standing AS other USING (profile_id) JOIN loyalty.account USING (profile_id)
    WHERE real.story = 'as it is' AND other.story = 'without'
), split AS (
    SELECT reversal.*, greatest(0, least(reversal.points, can_take.points - coalesce(
               sum(reversal.points) OVER (PARTITION BY reversal.profile_id ORDER BY reversal.place
                                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)))::bigint AS taken
    FROM reversal JOIN can_take USING (profile_id)
), written AS (
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, recorded_at)
    SELECT profile_id, key, 'points.reverse', occurred_at, -taken,
           jsonb_build_object('points', taken, 'rule', rule, 'refunded', points, 'notTaken', points - taken),
           award_key, 'award_points', clock.now
    FROM split CROSS JOIN clock ORDER BY profile_id, place
    RETURNING points, (params ->> 'notTaken')::bigint AS not_taken
)
SELECT count(*) AS reversal_count, coalesce(-sum(points), 0)::bigint AS reversed, coalesce(sum(not_taken), 0)::bigint AS not_taken
FROM written
