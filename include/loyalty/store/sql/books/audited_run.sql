-- A run as its record tells it, with its members by state and the points of those that completed.
SELECT run.run_id, run.journey, run.run_key, run.state, run.as_of, run.business_date, run.started_at, run.finished_at, run.audience_of,
       run.decision, run.decided_by, run.decided_at, run.fingerprint, run.definitions, run.settings, run.points, run.returned, run.shortfall,
       member.member_count, member.completed_count, member.failed_count,
       member.member_count - member.completed_count - member.failed_count AS waiting_count, member.points_in, member.points_out
FROM loyalty.journey_run AS run
CROSS JOIN LATERAL (
    SELECT count(*) AS member_count, count(*) FILTER (WHERE state = 'completed') AS completed_count,
           count(*) FILTER (WHERE state = 'failed') AS failed_count,
           coalesce(sum(balance_locked) FILTER (WHERE state = 'completed'), 0)::bigint AS points_in,
           coalesce(sum(balance_after) FILTER (WHERE state = 'completed'), 0)::bigint AS points_out
    FROM loyalty.journey_member WHERE journey_member.run_id = run.run_id
) AS member
WHERE run.run_id = :run_id
