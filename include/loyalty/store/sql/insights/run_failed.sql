-- Some failed members of a run, in the order of profiles: those after one, of one reason and one customer where that is asked for.
SELECT member.profile_id, profile.customer_id, member.reason, member.detail, member.approved AS points, member.locked_at, member.finished_at
FROM loyalty.journey_member AS member JOIN loyalty.profile USING (profile_id)
WHERE member.run_id = :run_id AND member.reason IS NOT NULL AND member.profile_id > :after
  AND (CAST(:reason AS text) IS NULL OR member.reason = :reason)
  AND (CAST(:customer AS text) IS NULL OR profile.customer_id = :customer)
ORDER BY member.profile_id LIMIT :size
