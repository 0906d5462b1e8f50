-- Members whose balance is locked by another journey are left to the next run, which dates what it takes correctly.
UPDATE loyalty.journey_member AS member
SET state = 'failed', reason = 'balance_locked', detail = 'locked by run ' || account.lock_run_id, finished_at = clock_timestamp()
FROM loyalty.account
WHERE member.run_id = :run_id AND member.state = 'selected' AND account.profile_id = member.profile_id
  AND account.lock_expires_at > clock_timestamp()
