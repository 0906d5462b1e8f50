-- The newest events of a customer before a moment, newest first.
SELECT occurred_at, action, points, params, source, event_id, run_id, recorded_at
FROM loyalty.event WHERE profile_id = :profile_id AND occurred_at < coalesce(CAST(:before AS timestamptz), 'infinity')
ORDER BY occurred_at DESC, recorded_at DESC, key LIMIT :size
