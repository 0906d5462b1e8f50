-- An outside engine says that it cannot lock the balances of these customers.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, source)
SELECT profile.profile_id, md5('refused:' || request.token)::uuid, 'points.engineError', clock_timestamp(),
       jsonb_build_object('run', request.run, 'token', request.token, 'message', CAST(:message AS text)), 'engine'
FROM loyalty.lock_request AS request JOIN loyalty.profile USING (customer_id)
WHERE request.customer_id = ANY (CAST(:customers AS text[]))
ORDER BY profile.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
