-- That a message was sent is an event of the customer.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, run_id, source)
SELECT email.profile_id, md5('sent:' || email.key)::uuid, 'email.sent', email.ended_at,
       jsonb_build_object('campaign', email.campaign, 'message', email.key) || jsonb_strip_nulls(jsonb_build_object('stage', email.stage)),
       email.run_id, 'mail'
FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS uuid[])) AS told(profile_id, key)
JOIN loyalty.email ON email.profile_id = told.profile_id AND email.key = told.key
WHERE email.state = 'sent' AND email.sender_id = :sender
ORDER BY email.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
