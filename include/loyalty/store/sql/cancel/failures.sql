-- The failed members of a run by reason.
SELECT reason, detail, count(*) AS member_count, sum(approved)::bigint AS points
FROM loyalty.journey_member WHERE run_id = :run_id AND reason IS NOT NULL
GROUP BY reason, detail ORDER BY count(*) DESC, reason, detail
