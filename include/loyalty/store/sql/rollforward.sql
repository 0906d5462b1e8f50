-- The program's points by local month: expiry of a midnight closes the day before it.
WITH entry AS (
    SELECT date_trunc('month', timezone(program.timezone, occurred_at) - CASE WHEN side = 'expired'
               THEN interval '1 day' ELSE interval '0' END)::date AS month, effect, side, points
    FROM loyalty.points_entry CROSS JOIN loyalty.program
), moved AS (
    SELECT month,
           coalesce(sum(points) FILTER (WHERE effect IN ('earn', 'reverse')), 0)::bigint AS earned,
           coalesce(-sum(points) FILTER (WHERE effect IN ('redeem', 'return')), 0)::bigint AS redeemed,
           coalesce(-sum(points) FILTER (WHERE side = 'expired'), 0)::bigint AS expired,
           coalesce(-sum(points) FILTER (WHERE effect IN ('cancel', 'adjust') OR (effect = 'restore' AND side = 'used')), 0)::bigint
               AS other,
           sum(points)::bigint AS change
    FROM entry GROUP BY month
)
SELECT to_char(month, 'YYYY-MM') AS month,
       (sum(change) OVER months - change)::bigint AS opening, earned, redeemed, expired, other,
       (sum(change) OVER months)::bigint AS closing
FROM moved WINDOW months AS (ORDER BY month)
ORDER BY month
