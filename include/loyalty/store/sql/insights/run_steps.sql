-- When members of a run came to each state, first and last.
SELECT state, min(moment) AS first_at, max(moment) + interval '5 seconds' AS last_at
FROM loyalty.journey_progress WHERE run_id = :run_id AND member_count > 0
GROUP BY state ORDER BY first_at
