-- Two workers on one chunk, such as a retry beside the process that it replaces, take turns: they would change the same
-- members in different orders.
SELECT pg_advisory_xact_lock(hashtext('loyalty.chunk:' || CAST(:run_id AS text)), :chunk)
