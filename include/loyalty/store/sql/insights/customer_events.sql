-- The newest events of a customer, newest first: those that come after so many.
SELECT occurred_at, action, points, params, source, event_id, run_id, recorded_at
FROM loyalty.event WHERE profile_id = :profile_id
ORDER BY occurred_at DESC, recorded_at DESC, key LIMIT :size OFFSET :after
