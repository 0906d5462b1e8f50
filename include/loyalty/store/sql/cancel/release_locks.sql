-- Nobody is left on the way: whoever is has failed, because a step before has.
SELECT loyalty.fail_members(:run_id, ARRAY(
    SELECT profile_id FROM loyalty.journey_member
    WHERE run_id = :run_id AND profile_id > :after AND profile_id <= :bound AND state NOT IN ('completed', 'failed')),
    'engine_error', 'a step of the journey did not finish')
FROM loyalty.program
