-- The next events for a subscriber, in order; those that are gone have no key.
SELECT delivery.n, e.key, e.event_id, profile.customer_id, e.action, e.occurred_at, e.recorded_at, e.params, e.points, e.run_id
FROM (
    SELECT n, profile_id, key FROM loyalty.delivery WHERE subscriber = :subscriber AND NOT is_dead ORDER BY n LIMIT :size
) AS delivery
LEFT JOIN loyalty.event AS e ON e.profile_id = delivery.profile_id AND e.key = delivery.key
LEFT JOIN loyalty.profile ON profile.profile_id = delivery.profile_id
ORDER BY delivery.n
