-- What the rule demands of a slice of the customers in each month, up to the last settled midnight.
WITH night AS (
    SELECT s.midnight, s.demanded - coalesce(lag(s.demanded) OVER (PARTITION BY s.profile_id ORDER BY s.midnight), 0) AS points
    FROM loyalty.settlement(ARRAY(
        SELECT profile_id FROM loyalty.account WHERE profile_id > :after AND profile_id <= :up_to AND latest_at IS NOT NULL)) AS s
)
SELECT date_trunc('month', midnight)::date AS month, sum(points)::bigint AS points
FROM night JOIN loyalty.program ON night.midnight <= program.settled_through
WHERE points <> 0 GROUP BY 1
