-- Until when deactivations are waited for; a retry keeps it.
UPDATE loyalty.journey_chunk SET deactivation_deadline_at = clock_timestamp() + make_interval(secs => 60 * CAST(:minutes AS double precision))
WHERE run_id = :run_id AND chunk = :chunk AND deactivation_deadline_at IS NULL
