-- What moved the balances in each month: what expired, and all else.
SELECT date_trunc('month', day)::date AS month,
       coalesce(-sum(points) FILTER (WHERE effect = 'expire'), 0)::bigint AS expired,
       coalesce(sum(points) FILTER (WHERE effect <> 'expire'), 0)::bigint AS other
FROM loyalty.points_flow GROUP BY 1 ORDER BY 1
