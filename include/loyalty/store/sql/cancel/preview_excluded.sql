-- Who is left alone, and why.
SELECT detail, count(*) AS member_count, sum(approved)::bigint AS points
FROM loyalty.journey_member WHERE run_id = :run_id AND reason = 'excluded'
GROUP BY detail ORDER BY count(*) DESC, detail
