-- Each member of the batch is completed, its points cancelled, its lock ended, as it was weighed; or it is to fail, and
-- nothing has moved.
WITH written AS (
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, run_id, source, recorded_at)
    SELECT profile_id,
           CASE WHEN amount > 0 THEN loyalty.cancel_key(:run_id, profile_id)
                ELSE md5('unlocked:' || loyalty.lock_token(:run_id, profile_id))::uuid END,
           CASE WHEN amount > 0 THEN 'points.cancel' ELSE 'points.unlocked' END, weighed.at,
           CASE WHEN amount > 0 THEN -amount END,
           CASE WHEN amount > 0 THEN jsonb_build_object('points', amount)
                ELSE jsonb_build_object('token', loyalty.lock_token(:run_id, profile_id)) END,
           :run_id, 'batch_cancellation', weighed.at
    FROM weighed WHERE fault IS NULL ORDER BY profile_id
), released AS (
    -- Where points are cancelled, the ledger ends the lock itself.
    UPDATE loyalty.account SET lock_expires_at = weighed.at
    FROM weighed
    WHERE account.profile_id = weighed.profile_id AND weighed.fault IS NULL AND weighed.amount = 0
), done AS (
    UPDATE loyalty.journey_member AS member
    SET state = 'completed', finished_at = weighed.at, released_at = weighed.at, points = weighed.amount,
        returned = weighed.returned, balance_after = weighed.balance - weighed.amount
    FROM weighed
    WHERE member.run_id = :run_id AND member.profile_id = weighed.profile_id AND weighed.fault IS NULL
      AND member.profile_id > :after AND member.profile_id <= :bound
)
SELECT count(*) FILTER (WHERE fault IS NULL) AS member_count, coalesce(sum(amount) FILTER (WHERE fault IS NULL), 0)::bigint AS points,
       coalesce(array_agg(profile_id) FILTER (WHERE fault = 'lock_expired'), '{}') AS lock_expired,
       coalesce(array_agg(profile_id) FILTER (WHERE fault = 'amount_grew'), '{}') AS amount_grew
FROM weighed
