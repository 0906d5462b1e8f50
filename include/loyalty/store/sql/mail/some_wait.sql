-- How many messages wait, counted no further than needed.
SELECT count(*) FROM (
    SELECT FROM loyalty.email
    WHERE state = 'queued' AND run_id = coalesce(CAST(:run_id AS bigint), run_id) LIMIT :few) AS some_of_them
