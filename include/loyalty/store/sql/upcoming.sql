-- What will expire when, as things stand: points due already but returned late go at the next midnight.
WITH start AS (
    SELECT coalesce(CAST(:after AS date), CASE WHEN settled_through > '0001-01-01' THEN settled_through
                    ELSE timezone(timezone, clock_timestamp())::date END) AS day
    FROM loyalty.program
)
SELECT greatest(lot.due_on, start.day + 1) AS expires_on, count(DISTINCT lot.profile_id) AS customers,
       sum(lot.remaining)::bigint AS points
FROM loyalty.lot CROSS JOIN start
WHERE lot.remaining > 0 AND lot.due_on <= start.day + CAST(:days AS integer)
GROUP BY 1 ORDER BY 1
