-- What a run of the batch cancellation, or an undo of one, did: its record.
SELECT run.run_id, run.journey, run.state, run.as_of, run.frozen_at, run.started_at, run.finished_at, run.audience_of, run.decision,
       run.decided_by, run.decided_at, run.member_count, run.failed_count, run.points, run.returned, run.fingerprint,
       (SELECT count(*) FROM loyalty.journey_member AS member WHERE member.run_id = run.run_id AND locked_at IS NOT NULL) AS locked_count,
       (SELECT coalesce(sum(balance_locked), 0)::bigint FROM loyalty.journey_member AS member
        WHERE member.run_id = run.run_id AND state = 'completed') AS points_in,
       (SELECT coalesce(sum(balance_after), 0)::bigint FROM loyalty.journey_member AS member
        WHERE member.run_id = run.run_id AND state = 'completed') AS points_out
FROM loyalty.journey_run AS run WHERE run_id = :run_id
