SELECT member_count FROM loyalty.journey_run WHERE run_id = :run_id
