-- How points came and went, by month, from the counters of the days.
WITH moved AS (
    SELECT date_trunc('month', day)::date AS month,
           coalesce(sum(points) FILTER (WHERE effect IN ('earn', 'reverse')), 0)::bigint AS earned,
           coalesce(-sum(points) FILTER (WHERE effect IN ('redeem', 'return')), 0)::bigint AS redeemed,
           coalesce(-sum(points) FILTER (WHERE effect = 'expire'), 0)::bigint AS expired,
           coalesce(-sum(points) FILTER (WHERE effect IN ('cancel', 'restore')), 0)::bigint AS cancelled,
           coalesce(sum(points) FILTER (WHERE effect = 'adjust'), 0)::bigint AS adjusted,
           sum(points)::bigint AS change
    FROM loyalty.points_flow GROUP BY 1
)
SELECT month, earned, redeemed, expired, cancelled, adjusted, (sum(change) OVER (ORDER BY month))::bigint AS closing
FROM moved ORDER BY month
