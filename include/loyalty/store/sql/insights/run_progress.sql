-- How many members of a run are where, and what they stand for, by chunk.
SELECT chunk, state, reason, sum(member_count)::bigint AS members, sum(asked_count)::bigint AS asked, sum(locked_count)::bigint AS locked,
       sum(approved)::bigint AS approved, sum(points)::bigint AS points, sum(returned)::bigint AS returned,
       sum(shortfall)::bigint AS shortfall, sum(balance_in)::bigint AS balance_in, sum(balance_out)::bigint AS balance_out
FROM loyalty.journey_progress WHERE run_id = :run_id
GROUP BY chunk, state, reason HAVING sum(member_count) <> 0
ORDER BY chunk, state, reason
