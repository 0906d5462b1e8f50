-- The run that somebody's scheduler calls by this key.
SELECT run_id FROM loyalty.journey_run WHERE journey = :journey AND run_key = :run_key
