-- Locked members with promotions that are not over, their accounts locked in ascending order.
INSERT INTO batch (profile_id)
SELECT account.profile_id
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
WHERE member.run_id = :run_id AND member.profile_id > :after AND member.profile_id <= :bound AND member.state = 'locked'
  AND account.lock_run_id = :run_id AND account.lock_expires_at > clock_timestamp()
  AND EXISTS (
      SELECT FROM loyalty.promotion_activation AS activation
      WHERE activation.profile_id = account.profile_id AND activation.state IN ('active', 'deactivating'))
  AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY account.profile_id
FOR NO KEY UPDATE OF account
