-- The run holds its members' totals for good.
UPDATE loyalty.journey_run AS run
SET state = 'completed', finished_at = clock_timestamp(),
    member_count = total.member_count, points = total.points, shortfall = total.shortfall
FROM (
    SELECT count(*) AS member_count, coalesce(sum(points), 0) AS points, coalesce(sum(shortfall), 0) AS shortfall
    FROM loyalty.journey_member WHERE run_id = :run_id
) AS total
WHERE run.run_id = :run_id
RETURNING run.run_id, run.business_date, run.member_count, run.points, run.shortfall
