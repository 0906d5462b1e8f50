-- An outside engine deactivates every promotion that it is asked to, but those of some customers.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source)
SELECT profile.profile_id, md5('engine:' || request.activation)::uuid, 'client.deactivatePromotion', clock_timestamp(), request.points,
       jsonb_build_object('promotion', request.promotion, 'returnedPoints', request.points), request.activation, 'engine'
FROM loyalty.deactivation_request AS request JOIN loyalty.profile USING (customer_id)
WHERE request.customer_id <> ALL (CAST(:others AS text[]))
ORDER BY profile.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
