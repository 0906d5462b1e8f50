SELECT chunk, lock_deadline_at, deactivation_deadline_at FROM loyalty.journey_chunk WHERE run_id = :run_id ORDER BY chunk
