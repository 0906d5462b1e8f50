-- Locked members with no promotion that is still open, and those whose lock has ended, whatever they have; their accounts
-- locked in ascending order.
INSERT INTO batch (profile_id)
SELECT account.profile_id
FROM loyalty.journey_member AS member JOIN loyalty.account USING (profile_id)
WHERE member.run_id = :run_id AND member.profile_id > :after AND member.profile_id <= :bound
  AND member.state IN ('locked', 'deactivating')
  AND (account.lock_run_id IS DISTINCT FROM :run_id OR account.lock_expires_at <= clock_timestamp() OR NOT EXISTS (
      SELECT FROM loyalty.promotion_activation AS activation
      WHERE activation.profile_id = account.profile_id AND activation.state IN ('active', 'deactivating')
        AND coalesce(activation.lapses_at > clock_timestamp() OR activation.state = 'deactivating', true)))
  AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY account.profile_id
FOR NO KEY UPDATE OF account
