-- How many members of a chunk ended in which five seconds, and the points taken then.
SELECT chunk, moment, sum(member_count)::bigint AS ended, sum(points)::bigint AS points
FROM loyalty.journey_progress WHERE run_id = :run_id AND state IN ('completed', 'failed')
GROUP BY chunk, moment ORDER BY moment, chunk
