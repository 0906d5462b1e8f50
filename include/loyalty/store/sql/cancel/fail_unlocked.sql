-- Members whose lock was not confirmed by the deadline have failed.
SELECT loyalty.fail_members(:run_id, ARRAY(
    SELECT member.profile_id FROM loyalty.journey_member AS member
    JOIN loyalty.journey_chunk AS chunk ON chunk.run_id = member.run_id AND chunk.chunk = :chunk
    WHERE member.run_id = :run_id AND member.profile_id > :after AND member.profile_id <= :bound
      AND member.state = 'lock_requested' AND chunk.lock_deadline_at <= clock_timestamp()), 'lock_timeout')
FROM loyalty.program
