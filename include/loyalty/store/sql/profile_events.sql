-- The events of a profile, in the order of time.
SELECT event.occurred_at, event.action, event.points, event.params, event.source, event.event_id, event.recorded_at
FROM loyalty.event WHERE event.profile_id = :profile_id
ORDER BY event.occurred_at, event.recorded_at, event.key
