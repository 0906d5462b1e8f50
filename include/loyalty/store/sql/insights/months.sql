-- How points came and went, by month, from the counters of the days; months in which nothing moved are there, too.
WITH moved AS (
    SELECT date_trunc('month', day)::date AS month,
           sum(points) FILTER (WHERE effect IN ('earn', 'reverse')) AS earned, -sum(points) FILTER (WHERE effect IN ('redeem', 'return')) AS redeemed,
           -sum(points) FILTER (WHERE effect = 'expire') AS expired, -sum(points) FILTER (WHERE effect IN ('cancel', 'restore')) AS cancelled,
           sum(points) FILTER (WHERE effect = 'adjust') AS adjusted, sum(points) AS change
    FROM loyalty.points_flow GROUP BY 1
), month AS (
    SELECT generate_series(min(month), max(month), interval '1 month')::date AS month FROM moved
)
SELECT month, coalesce(earned, 0)::bigint AS earned, coalesce(redeemed, 0)::bigint AS redeemed, coalesce(expired, 0)::bigint AS expired,
       coalesce(cancelled, 0)::bigint AS cancelled, coalesce(adjusted, 0)::bigint AS adjusted,
       (sum(coalesce(change, 0)) OVER (ORDER BY month))::bigint AS closing
FROM month LEFT JOIN moved USING (month) ORDER BY month
