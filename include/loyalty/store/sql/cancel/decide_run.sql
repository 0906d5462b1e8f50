-- The decision stands, with who made it and when; the first one counts.
UPDATE loyalty.journey_run
SET decision = :decision, decided_by = :decided_by, decided_at = coalesce(CAST(:decided_at AS timestamptz), clock_timestamp()),
    state = CASE WHEN :decision = 'rejected' THEN 'rejected' ELSE state END,
    finished_at = CASE WHEN :decision = 'rejected' THEN clock_timestamp() END
WHERE run_id = :run_id AND decision IS NULL AND state = 'running'
