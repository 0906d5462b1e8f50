-- How many messages about a run are how far.
SELECT campaign, state, reason, sum(message_count)::bigint AS messages
FROM loyalty.email_progress WHERE run_id = :run_id
GROUP BY campaign, state, reason HAVING sum(message_count) <> 0
ORDER BY campaign, state, reason
