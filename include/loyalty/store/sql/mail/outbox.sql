-- How many messages are how far, by campaign, state and reason.
SELECT campaign, state, reason, count(*) AS messages FROM loyalty.email
WHERE run_id = coalesce(CAST(:run_id AS bigint), run_id)
GROUP BY campaign, state, reason ORDER BY campaign, state, reason
