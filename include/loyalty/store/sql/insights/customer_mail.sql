SELECT campaign, run_id, points, address, state, reason, queued_at, ended_at
FROM loyalty.email WHERE profile_id = :profile_id ORDER BY queued_at DESC LIMIT 100
