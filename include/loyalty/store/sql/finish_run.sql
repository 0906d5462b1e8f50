-- The run holds its members' totals for good; nothing is finished while members are on the way.
UPDATE loyalty.journey_run AS run
SET state = 'completed', finished_at = clock_timestamp(), member_count = total.member_count, failed_count = total.failed_count,
    points = total.points, returned = total.returned, shortfall = total.shortfall
FROM (
    SELECT count(*) AS member_count, count(*) FILTER (WHERE state = 'failed') AS failed_count,
           count(*) FILTER (WHERE state NOT IN ('completed', 'failed')) AS on_the_way,
           coalesce(sum(points), 0) AS points, coalesce(sum(returned) FILTER (WHERE state = 'completed'), 0) AS returned,
           coalesce(sum(shortfall), 0) AS shortfall
    FROM loyalty.journey_member WHERE run_id = :run_id
) AS total
WHERE run.run_id = :run_id AND total.on_the_way = 0
RETURNING run.run_id, run.business_date, run.member_count, run.failed_count, run.points, run.returned, run.shortfall
