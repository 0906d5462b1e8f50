-- Nobody whom a run is done with is still held by it, neither the balance nor a promotion.
SELECT profile.customer_id, member.run_id, 'still locked' AS what, account.lock_expires_at AS until
FROM loyalty.account JOIN loyalty.journey_member AS member ON member.run_id = account.lock_run_id AND member.profile_id = account.profile_id
JOIN loyalty.profile ON profile.profile_id = account.profile_id
WHERE account.lock_expires_at > clock_timestamp() AND member.state IN ('completed', 'failed')
  AND (CAST(:run_id AS bigint) IS NULL OR member.run_id = :run_id)
UNION ALL
SELECT profile.customer_id, member.run_id, 'promotion still being deactivated', NULL
FROM loyalty.promotion_activation AS activation JOIN loyalty.journey_member AS member USING (run_id, profile_id)
JOIN loyalty.profile USING (profile_id)
WHERE activation.state = 'deactivating' AND member.state IN ('completed', 'failed')
  AND (CAST(:run_id AS bigint) IS NULL OR member.run_id = :run_id)
