-- The run is completed.
UPDATE loyalty.journey_run
SET state = 'completed', finished_at = clock_timestamp()
WHERE run_id = :run_id
