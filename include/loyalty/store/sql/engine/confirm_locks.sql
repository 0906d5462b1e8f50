-- An outside engine confirms every lock that it is asked for, but those of some customers.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, source)
SELECT profile.profile_id, md5('engine:' || request.token)::uuid, 'points.locked', clock_timestamp(),
       jsonb_build_object('run', request.run, 'token', request.token), 'engine'
FROM loyalty.lock_request AS request JOIN loyalty.profile USING (customer_id)
WHERE request.customer_id <> ALL (CAST(:others AS text[]))
ORDER BY profile.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
