-- A finished run has no member on the way, and its totals are its members'. Each member's points are what its events say
-- (taken less given back); one that failed has lost none. What a cancelled member had when it was locked, with what was
-- booked and returned meanwhile, less what was cancelled, is what it had just after.
WITH written AS (
    SELECT e.run_id, e.profile_id, -sum(e.points)::bigint AS points
    FROM loyalty.event AS e JOIN loyalty.action ON action.action = e.action AND action.effect IN ('expire', 'cancel', 'restore')
    WHERE e.run_id IS NOT NULL AND (CAST(:run_id AS bigint) IS NULL OR e.run_id = :run_id)
      AND (CAST(:run_id AS bigint) IS NULL OR e.profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
    GROUP BY e.run_id, e.profile_id
), member AS (
    SELECT run_id, profile_id, coalesce(member.state, 'not a member') AS state,
           coalesce(member.points, 0) AS points, coalesce(written.points, 0) AS sum_of_events,
           CASE WHEN member.state = 'completed' THEN member.returned ELSE 0 END AS returned,
           member.locked_at, member.released_at, member.balance_locked, member.balance_after
    FROM loyalty.journey_member AS member FULL JOIN written USING (run_id, profile_id)
    WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id
), total AS (
    SELECT run_id, count(*) AS member_count, sum(points)::bigint AS points, sum(returned)::bigint AS returned,
           count(*) FILTER (WHERE state = 'failed') AS failed_count
    FROM member GROUP BY run_id
), under_lock AS (
    SELECT member.run_id, member.profile_id, member.balance_locked, member.balance_after, member.points, member.returned,
           coalesce(sum(e.points) FILTER (WHERE action.effect <> 'return'), 0)::bigint AS booked,
           coalesce(sum(e.points) FILTER (WHERE action.effect = 'return'), 0)::bigint AS came_back
    FROM member
    LEFT JOIN loyalty.event AS e ON e.profile_id = member.profile_id AND e.points IS NOT NULL
        AND e.recorded_at > member.locked_at AND e.recorded_at < member.released_at
    LEFT JOIN loyalty.action ON action.action = e.action
    WHERE member.state = 'completed' AND member.locked_at IS NOT NULL
    GROUP BY member.run_id, member.profile_id, member.balance_locked, member.balance_after, member.points, member.returned
)
SELECT '(no journey)' AS journey, run_id::text AS run_key, 'members of no run' AS what, total.points, 0 AS sum_of_events
FROM total WHERE NOT EXISTS (SELECT FROM loyalty.journey_run AS run WHERE run.run_id = total.run_id)
UNION ALL
SELECT run.journey, run.run_key, 'member ' || profile.customer_id || ' (' || member.state || ')' AS what,
       member.points, member.sum_of_events
FROM member JOIN loyalty.journey_run AS run USING (run_id) JOIN loyalty.profile USING (profile_id)
WHERE member.points <> member.sum_of_events
   OR (run.state = 'completed' AND member.state NOT IN ('completed', 'failed'))
   OR (run.journey = 'batch_cancellation' AND member.state <> 'completed' AND member.sum_of_events <> 0)
UNION ALL
SELECT run.journey, run.run_key, 'balance of ' || profile.customer_id || ' after: ' || under_lock.balance_after,
       under_lock.points, under_lock.balance_locked + under_lock.booked + under_lock.came_back - under_lock.balance_after
FROM under_lock JOIN loyalty.journey_run AS run USING (run_id) JOIN loyalty.profile USING (profile_id)
WHERE under_lock.balance_locked + under_lock.booked + under_lock.came_back - under_lock.points IS DISTINCT FROM under_lock.balance_after
   OR under_lock.came_back <> under_lock.returned
UNION ALL
SELECT run.journey, run.run_key, 'total of ' || run.member_count || ' members', run.points, coalesce(total.points, 0)
FROM loyalty.journey_run AS run LEFT JOIN total USING (run_id)
WHERE run.state = 'completed' AND (CAST(:run_id AS bigint) IS NULL OR run.run_id = :run_id)
  AND (run.member_count, run.points, run.returned, run.failed_count)
      <> (coalesce(total.member_count, 0), coalesce(total.points, 0), coalesce(total.returned, 0), coalesce(total.failed_count, 0))
