-- The runs that a customer was in, newest first: by the key of the members, run by run.
SELECT run.run_id, run.journey, run.business_date, member.state, member.reason, member.detail, member.points, member.returned,
       member.lock_requested_at, member.locked_at, member.lock_expires_at, member.released_at, member.finished_at
FROM loyalty.journey_run AS run
CROSS JOIN LATERAL (SELECT * FROM loyalty.journey_member AS m WHERE m.run_id = run.run_id AND m.profile_id = :profile_id OFFSET 0) AS member
ORDER BY run.run_id DESC LIMIT 200
