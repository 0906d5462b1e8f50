-- The program's points by local month: expiry belongs to the day that its midnight begins, as in the books.
WITH moved AS (
    SELECT date_trunc('month', day)::date AS month,
           coalesce(sum(points) FILTER (WHERE effect IN ('earn', 'reverse')), 0)::bigint AS earned,
           coalesce(-sum(points) FILTER (WHERE effect IN ('redeem', 'return')), 0)::bigint AS redeemed,
           coalesce(-sum(points) FILTER (WHERE effect = 'expire'), 0)::bigint AS expired,
           coalesce(-sum(points) FILTER (WHERE effect IN ('cancel', 'adjust', 'restore')), 0)::bigint AS other,
           sum(points)::bigint AS change
    FROM loyalty.booked_entry GROUP BY 1
)
SELECT to_char(month, 'YYYY-MM') AS month,
       (sum(change) OVER months - change)::bigint AS opening, earned, redeemed, expired, other,
       (sum(change) OVER months)::bigint AS closing
FROM moved WINDOW months AS (ORDER BY month)
ORDER BY month
