-- Members whose promotions were not all deactivated by the deadline have failed.
SELECT loyalty.fail_members(:run_id, ARRAY(
    SELECT DISTINCT activation.profile_id FROM loyalty.promotion_activation AS activation
    JOIN loyalty.journey_chunk AS chunk ON chunk.run_id = activation.run_id AND chunk.chunk = :chunk
    WHERE activation.run_id = :run_id AND activation.profile_id > :after AND activation.profile_id <= :bound
      AND activation.state = 'deactivating' AND chunk.deactivation_deadline_at <= clock_timestamp()), 'deactivation_timeout')
FROM loyalty.program
