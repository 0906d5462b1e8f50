-- A run of this key exists and is running; a retry finds the run it retries. Of a day that clocks skip it is a run of the next
-- one, which begins at the same instant.
INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint)
SELECT :journey, :run_key, begins.at, timezone(program.timezone, begins.at)::date, CAST(:definitions AS jsonb), :fingerprint
FROM loyalty.program CROSS JOIN LATERAL loyalty.midnight(:business_date, program.timezone) AS begins(at)
ON CONFLICT (journey, run_key) DO UPDATE SET state = 'running', finished_at = NULL
RETURNING run_id, as_of, as_of > clock_timestamp() AS is_future,
          (SELECT settled_through FROM loyalty.program) AS settled_through
