-- The run is completed, and says to which day each stage has spoken.
UPDATE loyalty.journey_run
SET state = 'completed', settings = CAST(:reach AS jsonb), finished_at = clock_timestamp()
WHERE run_id = :run_id
