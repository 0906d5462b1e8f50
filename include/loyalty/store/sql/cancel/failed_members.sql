-- The failed members of a run one by one.
SELECT profile.customer_id, member.reason, member.detail, member.approved AS points, member.lock_requested_at, member.locked_at,
       member.lock_expires_at, member.released_at
FROM loyalty.journey_member AS member JOIN loyalty.profile USING (profile_id)
WHERE member.run_id = :run_id AND member.reason IS NOT NULL AND coalesce(member.reason = CAST(:reason AS text), true)
ORDER BY member.reason, profile.customer_id
