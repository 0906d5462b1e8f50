-- Members who want a lock, or asked for one, and whose accounts nobody is working on and no other run has locked; in ascending
-- order. Those in the middle of something are passed over, and come later.
INSERT INTO batch (profile_id)
SELECT account.profile_id
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
WHERE member.run_id = :run_id AND member.profile_id > :after AND member.profile_id <= :bound
  AND (member.state = 'selected' OR (member.state = 'lock_requested' AND member.lock_expires_at > clock_timestamp()))
  AND coalesce(account.lock_expires_at <= clock_timestamp(), true)
  AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY account.profile_id
FOR NO KEY UPDATE OF account SKIP LOCKED
