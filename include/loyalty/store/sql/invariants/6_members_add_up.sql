-- A finished run has no member on the way. Each member's points are what its events say (taken less given back); one that
-- failed has lost none. What a cancelled member had when it was locked, with what was booked and returned meanwhile, less
-- what was cancelled, is what it had just after.
WITH written AS (
    SELECT e.run_id, e.profile_id, -sum(e.points)::bigint AS points
    FROM loyalty.event AS e JOIN loyalty.action ON action.action = e.action AND action.effect IN ('expire', 'cancel', 'restore')
    WHERE e.run_id IS NOT NULL AND (CAST(:run_id AS bigint) IS NULL OR e.run_id = :run_id)
      AND (CAST(:run_id AS bigint) IS NULL OR e.profile_id IN (
          SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
    GROUP BY e.run_id, e.profile_id
), kept AS (
    SELECT * FROM loyalty.journey_member
    WHERE loyalty.in_part(profile_id, :part) AND (CAST(:run_id AS bigint) IS NULL OR run_id = :run_id)
), member AS (
    SELECT run_id, profile_id, coalesce(kept.state, 'not a member') AS state,
           coalesce(kept.points, 0) AS points, coalesce(written.points, 0) AS sum_of_events, kept.returned,
           kept.locked_at, kept.released_at, kept.balance_locked, kept.balance_after
    FROM kept FULL JOIN written USING (run_id, profile_id)
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
), wrong AS MATERIALIZED (
    SELECT member.run_id, member.profile_id, 'member (' || member.state || ')' AS what, member.points, member.sum_of_events
    FROM member LEFT JOIN loyalty.journey_run AS run USING (run_id)
    WHERE member.points <> member.sum_of_events OR run.run_id IS NULL
       OR (run.state = 'completed' AND member.state NOT IN ('completed', 'failed'))
       OR (run.journey = 'batch_cancellation' AND member.state <> 'completed' AND member.sum_of_events <> 0)
    UNION ALL
    SELECT run_id, profile_id, 'balance after: ' || balance_after, points, balance_locked + booked + came_back - balance_after
    FROM under_lock
    WHERE balance_locked + booked + came_back - points IS DISTINCT FROM balance_after OR came_back <> returned
)
SELECT coalesce(run.journey, '(no journey)') AS journey, coalesce(run.run_key, wrong.run_id::text) AS run_key,
       profile.customer_id, wrong.what, wrong.points, wrong.sum_of_events
FROM wrong LEFT JOIN loyalty.journey_run AS run USING (run_id) LEFT JOIN loyalty.profile USING (profile_id)
ORDER BY wrong.run_id, wrong.profile_id
