-- The next messages of a campaign are this sender's, in the order of profiles, after the one that it had last.
WITH due AS (
    SELECT profile_id, key FROM loyalty.email
    WHERE state = 'queued' AND profile_id > :after AND campaign = :campaign AND not_before <= clock_timestamp()
      AND (CAST(:run_id AS bigint) IS NULL OR run_id = CAST(:run_id AS bigint))
    ORDER BY profile_id, key LIMIT :size FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE loyalty.email SET state = 'sending', sender_id = :sender, sending_at = clock_timestamp()
FROM due WHERE email.profile_id = due.profile_id AND email.key = due.key
RETURNING email.profile_id, email.key
