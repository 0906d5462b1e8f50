-- The run's members in chunks of one size, by profile; cutting again changes nothing.
INSERT INTO loyalty.journey_chunk (run_id, chunk, first_profile_id, last_profile_id)
SELECT :run_id, chunk, min(profile_id), max(profile_id)
FROM (
    SELECT profile_id, (row_number() OVER (ORDER BY profile_id) - 1) / CAST(:size AS bigint) AS chunk
    FROM loyalty.journey_member WHERE run_id = :run_id
) AS numbered
WHERE NOT EXISTS (SELECT FROM loyalty.journey_chunk WHERE run_id = :run_id)
GROUP BY chunk
ON CONFLICT DO NOTHING
