-- Messages whose sender has died while it had them: nobody knows whether they were sent.
WITH left_behind AS (
    SELECT profile_id, key FROM loyalty.email
    WHERE state = 'sending' AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND classid = 1768709487 AND objid::bigint = sender_id AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    ORDER BY profile_id, key FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE loyalty.email
SET state = CASE WHEN CAST(:resend AS boolean) THEN 'queued' ELSE 'failed' END, reason = 'unsettled',
    detail = 'its sender died while it had the message',
    ended_at = CASE WHEN CAST(:resend AS boolean) THEN NULL ELSE clock_timestamp() END, not_before = clock_timestamp()
FROM left_behind WHERE email.profile_id = left_behind.profile_id AND email.key = left_behind.key
