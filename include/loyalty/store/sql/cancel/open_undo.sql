-- A run of this key gives back what the other took; a retry finds the run it retries.
INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint, audience_of, frozen_at)
SELECT 'undo_journey', :run_key, clock_timestamp(), timezone(program.timezone, clock_timestamp())::date,
       undone.definitions, undone.fingerprint, undone.run_id, clock_timestamp()
FROM loyalty.program, loyalty.journey_run AS undone WHERE undone.run_id = :undone
ON CONFLICT (journey, run_key) DO UPDATE SET state = 'running', finished_at = NULL
RETURNING run_id
