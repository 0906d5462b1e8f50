-- The horizon that the program has reached is at least this day; after a run of a segment of its own only where nobody waits
-- for an earlier midnight, but for those whose balance is locked.
UPDATE loyalty.program SET settled_through = :day
WHERE settled_through < :day AND (CAST(:everybody AS boolean) OR NOT EXISTS (
    SELECT FROM loyalty.account
    WHERE settle_on <= :day AND coalesce(lock_expires_at <= clock_timestamp(), true)))
