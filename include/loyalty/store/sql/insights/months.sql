-- How points came and went, by month, from the counters of the days.
SELECT date_trunc('month', day)::date AS month,
       coalesce(sum(points) FILTER (WHERE effect IN ('earn', 'reverse')), 0)::bigint AS earned,
       coalesce(-sum(points) FILTER (WHERE effect IN ('redeem', 'return')), 0)::bigint AS redeemed,
       coalesce(-sum(points) FILTER (WHERE effect = 'expire'), 0)::bigint AS expired,
       coalesce(-sum(points) FILTER (WHERE effect IN ('cancel', 'restore')), 0)::bigint AS cancelled,
       coalesce(sum(points) FILTER (WHERE effect = 'adjust'), 0)::bigint AS adjusted,
       (sum(sum(points)) OVER (ORDER BY date_trunc('month', day)))::bigint AS closing
FROM loyalty.points_flow GROUP BY 1 ORDER BY 1
