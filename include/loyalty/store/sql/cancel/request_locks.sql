-- The members are asked for: the lock's time runs from now.
UPDATE loyalty.journey_member
SET state = 'lock_requested', lock_requested_at = clock_timestamp(),
    lock_expires_at = clock_timestamp() + make_interval(secs => 60 * CAST(:lock_minutes AS double precision))
WHERE run_id = :run_id AND profile_id > :after AND profile_id <= :bound AND state = 'selected'
