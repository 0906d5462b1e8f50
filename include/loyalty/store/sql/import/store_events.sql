INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
SELECT profile.profile_id, e.key, e.action, e.occurred_at, e.points, e.params, e.refers_to, e.source, e.event_id, :recorded_at
FROM import_event AS e JOIN import_profile AS profile USING (customer_id)
WHERE e.reason IS NULL AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
ORDER BY profile.profile_id, e.occurred_at
ON CONFLICT (profile_id, key) DO NOTHING
