-- How many members lose how much, by orders of magnitude.
SELECT CASE WHEN approved = 0 THEN 0 ELSE length(approved::text) END AS digits, count(*) AS member_count, sum(approved)::bigint AS points
FROM loyalty.journey_member WHERE run_id = :run_id AND reason IS DISTINCT FROM 'excluded'
GROUP BY digits ORDER BY digits
