-- Every cancellation of a run lies inside a live lock of that run; and nobody whom a run is done with is still held by it,
-- neither the balance nor a promotion.
SELECT profile.customer_id, e.run_id, 'cancelled' AS what, e.recorded_at AS at, member.locked_at, member.released_at, member.lock_expires_at
FROM loyalty.event AS e JOIN loyalty.profile USING (profile_id)
LEFT JOIN loyalty.journey_member AS member ON member.run_id = e.run_id AND member.profile_id = e.profile_id
WHERE e.action = 'points.cancel' AND e.run_id IS NOT NULL
  AND NOT coalesce(e.recorded_at >= member.locked_at AND e.recorded_at <= member.released_at AND e.recorded_at < member.lock_expires_at, false)
  AND (CAST(:run_id AS bigint) IS NULL OR e.run_id = :run_id)
UNION ALL
SELECT profile.customer_id, member.run_id, 'still locked', account.lock_expires_at, member.locked_at, member.released_at, member.lock_expires_at
FROM loyalty.account JOIN loyalty.journey_member AS member ON member.run_id = account.lock_run_id AND member.profile_id = account.profile_id
JOIN loyalty.profile ON profile.profile_id = account.profile_id
WHERE account.lock_expires_at > clock_timestamp() AND member.state IN ('completed', 'failed')
  AND (CAST(:run_id AS bigint) IS NULL OR member.run_id = :run_id)
UNION ALL
SELECT profile.customer_id, member.run_id, 'promotion still being deactivated', NULL, member.locked_at, member.released_at, member.lock_expires_at
FROM loyalty.promotion_activation AS activation JOIN loyalty.journey_member AS member USING (run_id, profile_id)
JOIN loyalty.profile USING (profile_id)
WHERE activation.state = 'deactivating' AND member.state IN ('completed', 'failed')
  AND (CAST(:run_id AS bigint) IS NULL OR member.run_id = :run_id)
