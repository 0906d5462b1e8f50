-- Messages of a campaign that wait, in the order of profiles; all of a profile's together.
SELECT profile_id, key FROM loyalty.email
WHERE state = 'queued' AND campaign = :campaign AND profile_id > :after AND run_id = coalesce(CAST(:run_id AS bigint), run_id)
ORDER BY profile_id
FETCH FIRST :size ROWS WITH TIES
