-- The confirmations of this database; what follows from them is loyalty.confirm_locks.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, run_id, source)
SELECT profile_id, loyalty.lock_token(:run_id, profile_id), 'points.locked', clock_timestamp(), :run_id, 'batch_cancellation'
FROM batch ORDER BY profile_id
ON CONFLICT (profile_id, key) DO NOTHING
