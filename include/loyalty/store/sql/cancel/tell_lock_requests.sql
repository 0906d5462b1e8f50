-- An outside engine is asked by events, too, each once.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, run_id, source)
SELECT member.profile_id, md5('lockRequested:' || loyalty.lock_token(member.run_id, member.profile_id))::uuid, 'points.lockRequested',
       member.lock_requested_at,
       jsonb_build_object('run', member.run_id, 'token', loyalty.lock_token(member.run_id, member.profile_id), 'expires_at', member.lock_expires_at),
       member.run_id, 'batch_cancellation'
FROM loyalty.journey_member AS member
WHERE member.run_id = :run_id AND member.profile_id > :after AND member.profile_id <= :bound AND member.state = 'lock_requested'
ORDER BY member.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
