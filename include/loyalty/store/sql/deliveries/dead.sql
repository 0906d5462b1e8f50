SELECT delivery.subscriber, delivery.key, profile.customer_id, e.action, e.occurred_at, delivery.attempts, delivery.first_tried_at, delivery.fault
FROM loyalty.delivery
JOIN loyalty.event AS e ON e.profile_id = delivery.profile_id AND e.key = delivery.key
JOIN loyalty.profile ON profile.profile_id = delivery.profile_id
WHERE delivery.is_dead AND (CAST(:subscriber AS text) IS NULL OR delivery.subscriber = :subscriber)
ORDER BY delivery.subscriber, delivery.n
