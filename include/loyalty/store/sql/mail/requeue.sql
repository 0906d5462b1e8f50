-- Messages that failed for this reason will be tried again; returns how many.
UPDATE loyalty.email SET state = 'queued', ended_at = NULL, attempts = 0, not_before = clock_timestamp()
WHERE state = 'failed' AND reason = :reason AND run_id = coalesce(CAST(:run_id AS bigint), run_id)
