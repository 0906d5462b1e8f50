-- The members of the range that wait, their accounts locked in ascending order; a balance that another journey has locked is left.
INSERT INTO batch (profile_id)
SELECT account.profile_id
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
WHERE member.run_id = :run_id AND member.profile_id BETWEEN :first AND :last AND member.state = 'selected'
  AND account.profile_id BETWEEN :first AND :last
  AND coalesce(account.lock_expires_at <= clock_timestamp(), true)
  AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY account.profile_id
FOR NO KEY UPDATE OF account
