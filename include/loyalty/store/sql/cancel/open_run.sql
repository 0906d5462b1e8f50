-- A run of this key is there. Only who made it, and has not frozen it yet, gets to freeze it.
INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint, settings, spared_from, audience_of)
SELECT 'batch_cancellation', :run_key, :as_of, timezone(program.timezone, :as_of)::date, CAST(:definitions AS jsonb), :fingerprint,
       CAST(:settings AS jsonb), :spared_from, :audience_of
FROM loyalty.program
ON CONFLICT (journey, run_key) DO UPDATE SET run_key = excluded.run_key
RETURNING run_id, as_of, frozen_at, as_of > clock_timestamp() AS is_future
