-- A run of this key exists and is running; a retry finds the run it retries.
INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint)
SELECT :journey, :run_key, loyalty.midnight(:business_date, program.timezone), :business_date,
       CAST(:definitions AS jsonb), :fingerprint
FROM loyalty.program
ON CONFLICT (journey, run_key) DO UPDATE SET state = 'running', finished_at = NULL
RETURNING run_id, as_of, as_of > clock_timestamp() AS is_future,
          (SELECT settled_through FROM loyalty.program) AS settled_through
