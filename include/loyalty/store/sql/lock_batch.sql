-- The next members of the run, their accounts locked in ascending order; a balance that another journey has locked is left.
INSERT INTO batch (profile_id)
SELECT account.profile_id
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
WHERE member.run_id = :run_id AND member.profile_id > :after AND member.state = 'selected'
  AND coalesce(account.lock_expires_at <= clock_timestamp(), true)
  AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY account.profile_id
LIMIT :size
FOR NO KEY UPDATE OF account
