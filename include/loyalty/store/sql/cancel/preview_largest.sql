-- Who loses most.
SELECT profile.customer_id, member.approved AS points
FROM loyalty.journey_member AS member JOIN loyalty.profile USING (profile_id)
WHERE member.run_id = :run_id AND member.reason IS DISTINCT FROM 'excluded' AND member.approved > 0
ORDER BY member.approved DESC, member.profile_id LIMIT :shown
