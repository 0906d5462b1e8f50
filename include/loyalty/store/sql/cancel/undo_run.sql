-- The run that is to be undone.
SELECT run_id, journey, state, member_count, points FROM loyalty.journey_run WHERE run_id = :run_id
