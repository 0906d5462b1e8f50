-- Whether a member of the run waits for it.
SELECT EXISTS (SELECT FROM loyalty.journey_member WHERE run_id = :run_id AND state = 'selected')
