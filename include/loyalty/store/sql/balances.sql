-- Each customer's points as of an instant (null: all that is recorded): what occurred before it, and expiry dated at it.
SELECT profile.customer_id,
       coalesce(sum(points) FILTER (WHERE effect IN ('earn', 'reverse')), 0)::bigint AS collected,
       coalesce(-sum(points) FILTER (WHERE effect IN ('redeem', 'return')), 0)::bigint AS redeemed,
       coalesce(-sum(points) FILTER (WHERE side = 'expired'), 0)::bigint AS expired,
       coalesce(-sum(points) FILTER (WHERE effect = 'cancel' OR (effect = 'restore' AND side = 'used')), 0)::bigint AS cancelled,
       coalesce(sum(points), 0)::bigint AS balance,
       coalesce(-sum(points) FILTER (WHERE effect = 'adjust'), 0)::bigint AS adjusted
FROM loyalty.profile
LEFT JOIN loyalty.points_entry AS entry ON entry.profile_id = profile.profile_id AND (
    CAST(:as_of AS timestamptz) IS NULL OR occurred_at < :as_of OR (side = 'expired' AND occurred_at = :as_of))
GROUP BY profile.profile_id, profile.customer_id
ORDER BY profile.customer_id
