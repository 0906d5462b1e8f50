-- Whether the wait is over: every promotion is deactivated, or the deadline has come.
SELECT coalesce(chunk.deactivation_deadline_at <= clock_timestamp(), true) OR NOT EXISTS (
    SELECT FROM loyalty.promotion_activation AS activation
    WHERE activation.profile_id BETWEEN chunk.first_profile_id AND chunk.last_profile_id
      AND activation.state = 'deactivating' AND activation.run_id = chunk.run_id)
FROM loyalty.journey_chunk AS chunk WHERE run_id = :run_id AND chunk = :chunk
