-- Whether the wait is over: everybody has answered, or the deadline has come.
SELECT coalesce(chunk.lock_deadline_at <= clock_timestamp(), true) OR NOT EXISTS (
    SELECT FROM loyalty.journey_member AS member
    WHERE member.run_id = chunk.run_id AND member.profile_id BETWEEN chunk.first_profile_id AND chunk.last_profile_id
      AND member.state = 'lock_requested')
FROM loyalty.journey_chunk AS chunk WHERE run_id = :run_id AND chunk = :chunk
