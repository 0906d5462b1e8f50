-- The totals of a finished run are those of its members.
WITH total AS (
    SELECT run_id, count(*) AS member_count, sum(points)::bigint AS points,
           coalesce(sum(returned) FILTER (WHERE state = 'completed'), 0)::bigint AS returned,
           count(*) FILTER (WHERE state = 'failed') AS failed_count
    FROM loyalty.journey_member WHERE CAST(:run_id AS bigint) IS NULL OR run_id = :run_id GROUP BY run_id
)
SELECT run.journey, run.run_key, run.member_count, coalesce(total.member_count, 0) AS members,
       run.points, coalesce(total.points, 0) AS points_of_members
FROM loyalty.journey_run AS run LEFT JOIN total USING (run_id)
WHERE run.state = 'completed' AND (CAST(:run_id AS bigint) IS NULL OR run.run_id = :run_id)
  AND (run.member_count, run.points, run.returned, run.failed_count)
      <> (coalesce(total.member_count, 0), coalesce(total.points, 0), coalesce(total.returned, 0), coalesce(total.failed_count, 0))
ORDER BY run.run_id
