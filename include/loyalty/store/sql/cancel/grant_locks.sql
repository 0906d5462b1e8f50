-- Where this database is the points engine: the balances of the batch are locked, its members know it, and it is told. A lock's
-- time runs from its request.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), marked AS (
    UPDATE loyalty.journey_member AS member
    SET state = 'locked', lock_requested_at = coalesce(member.lock_requested_at, clock.now), locked_at = clock.now,
        lock_expires_at = coalesce(member.lock_expires_at, clock.now + make_interval(secs => 60 * CAST(:lock_minutes AS double precision))),
        balance_locked = account.balance
    FROM batch JOIN loyalty.account USING (profile_id) CROSS JOIN clock
    WHERE member.run_id = :run_id AND member.profile_id = batch.profile_id
      AND member.profile_id > :after AND member.profile_id <= :bound AND account.profile_id > :after AND account.profile_id <= :bound
    RETURNING member.profile_id, member.lock_expires_at
), held AS (
    UPDATE loyalty.account
    SET lock_run_id = :run_id, lock_token = loyalty.lock_token(:run_id, account.profile_id), lock_expires_at = marked.lock_expires_at
    FROM marked WHERE account.profile_id = marked.profile_id
)
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, run_id, source)
SELECT batch.profile_id, loyalty.lock_token(:run_id, batch.profile_id), 'points.locked', clock.now, :run_id, 'batch_cancellation'
FROM batch CROSS JOIN clock ORDER BY batch.profile_id
