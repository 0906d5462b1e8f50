-- What is kept of every run's progress is what its members, and the messages about it, are.
WITH bound AS (
    SELECT run_id, array_agg(first_profile_id ORDER BY chunk) AS bounds FROM loyalty.journey_chunk GROUP BY run_id
), step AS (
    SELECT run_id, coalesce(width_bucket(profile_id, bounds), 0) - 1 AS chunk, state, coalesce(reason, '') AS reason, 1 AS members,
           (lock_requested_at IS NOT NULL)::int AS asked, (locked_at IS NOT NULL)::int AS locked, approved, points, returned, shortfall,
           coalesce(balance_locked, 0) AS balance_in, coalesce(balance_after, 0) AS balance_out
    FROM loyalty.journey_member LEFT JOIN bound USING (run_id) WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id
    UNION ALL
    SELECT run_id, chunk, state, reason, -member_count, -asked_count, -locked_count, -approved, -points, -returned, -shortfall,
           -balance_in, -balance_out
    FROM loyalty.journey_progress WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id
), message AS (
    SELECT run_id, campaign, state, coalesce(reason, '') AS reason, 1 AS messages
    FROM loyalty.email WHERE run_id IS NOT NULL AND (CAST(:run_id AS bigint) IS NULL OR run_id = :run_id)
    UNION ALL
    SELECT run_id, campaign, state, reason, -message_count
    FROM loyalty.email_progress WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id
)
SELECT run_id, concat_ws(' ', 'members', state, nullif(reason, ''), 'of chunk', chunk) AS what, sum(members)::bigint AS not_counted,
       sum(points)::bigint AS points
FROM step GROUP BY run_id, chunk, state, reason
HAVING (sum(members), sum(asked), sum(locked), sum(approved), sum(points), sum(returned), sum(shortfall), sum(balance_in), sum(balance_out))
    <> (0, 0, 0, 0, 0, 0, 0, 0, 0)
UNION ALL
SELECT run_id, concat_ws(' ', 'messages', campaign, state, nullif(reason, '')), sum(messages)::bigint, 0
FROM message GROUP BY run_id, campaign, state, reason HAVING sum(messages) <> 0
