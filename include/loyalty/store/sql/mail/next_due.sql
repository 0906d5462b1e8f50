-- In how many seconds the next message may be tried; null: none waits.
SELECT CAST(extract(epoch FROM min(soonest.not_before) - clock_timestamp()) AS double precision)
FROM unnest(CAST(:campaigns AS text[])) AS named(campaign)
CROSS JOIN LATERAL (
    SELECT not_before FROM loyalty.email
    WHERE state = 'queued' AND email.campaign = named.campaign AND run_id = coalesce(CAST(:run_id AS bigint), run_id)
    ORDER BY not_before LIMIT 1) AS soonest
