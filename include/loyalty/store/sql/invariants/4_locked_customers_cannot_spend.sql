-- No activation or deactivation lies inside a live lock, by the time of recording, but what the lock's own run asked for.
SELECT profile.customer_id, e.action, e.recorded_at, member.run_id, member.locked_at, member.released_at, member.lock_expires_at
FROM loyalty.journey_member AS member
JOIN loyalty.event AS e ON e.profile_id = member.profile_id
    AND e.recorded_at >= member.locked_at AND e.recorded_at < least(member.released_at, member.lock_expires_at)
JOIN loyalty.action ON action.action = e.action AND action.effect IN ('redeem', 'return')
JOIN loyalty.profile ON profile.profile_id = e.profile_id
WHERE member.locked_at IS NOT NULL AND e.run_id IS NULL AND loyalty.in_part(member.profile_id, :part)
  AND NOT EXISTS (
      SELECT FROM loyalty.promotion_activation AS asked
      WHERE asked.profile_id = e.profile_id AND asked.activation = e.refers_to AND asked.run_id = member.run_id)
  AND (CAST(:run_id AS bigint) IS NULL OR member.run_id = :run_id)
ORDER BY e.profile_id, e.recorded_at
