-- The run has ended with its preview.
UPDATE loyalty.journey_run SET state = 'previewed', finished_at = clock_timestamp() WHERE run_id = :run_id AND decision IS NULL
