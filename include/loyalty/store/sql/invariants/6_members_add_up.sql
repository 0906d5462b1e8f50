-- A finished run has no member on the way, its totals are its members', and each member's points are its events'.
WITH written AS (
    SELECT run_id, profile_id, -sum(points)::bigint AS points FROM loyalty.event
    WHERE run_id IS NOT NULL AND (CAST(:run_id AS bigint) IS NULL OR run_id = :run_id)
      AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
    GROUP BY run_id, profile_id
), member AS (
    SELECT run_id, profile_id, coalesce(member.state, 'not a member') AS state,
           coalesce(member.points, 0) AS points, coalesce(written.points, 0) AS sum_of_events
    FROM loyalty.journey_member AS member FULL JOIN written USING (run_id, profile_id)
    WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id
), total AS (
    SELECT run_id, count(*) AS member_count, sum(points)::bigint AS points FROM member GROUP BY run_id
)
SELECT run.journey, run.run_key, 'member ' || profile.customer_id || ' (' || member.state || ')' AS what,
       member.points, member.sum_of_events
FROM member JOIN loyalty.journey_run AS run USING (run_id) JOIN loyalty.profile USING (profile_id)
WHERE member.points <> member.sum_of_events OR (run.state = 'completed' AND member.state NOT IN ('completed', 'failed'))
UNION ALL
SELECT run.journey, run.run_key, 'total of ' || run.member_count || ' members', run.points, coalesce(total.points, 0)
FROM loyalty.journey_run AS run LEFT JOIN total USING (run_id)
WHERE run.state = 'completed' AND (CAST(:run_id AS bigint) IS NULL OR run.run_id = :run_id)
  AND (run.member_count <> coalesce(total.member_count, 0) OR run.points <> coalesce(total.points, 0))
