-- The first id of each further slice of profiles, to walk through all of them in slices of one size.
SELECT profile_id FROM (
    SELECT profile_id, row_number() OVER (ORDER BY profile_id DESC) - 1 AS place FROM loyalty.account
    WHERE (CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
) AS numbered WHERE place % CAST(:size AS bigint) = 0 ORDER BY profile_id
