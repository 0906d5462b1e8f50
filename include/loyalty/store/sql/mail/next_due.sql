-- In how many seconds the next message may be tried; null: none waits.
SELECT CAST(extract(epoch FROM min(not_before) - clock_timestamp()) AS double precision) FROM loyalty.email
WHERE state = 'queued' AND campaign = ANY (CAST(:campaigns AS text[])) AND run_id = coalesce(CAST(:run_id AS bigint), run_id)
