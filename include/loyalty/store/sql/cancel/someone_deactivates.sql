-- Whether a member of the chunk is having promotions deactivated.
SELECT EXISTS (
    SELECT FROM loyalty.journey_member
    WHERE run_id = :run_id AND profile_id > :after AND profile_id <= :bound AND state = 'deactivating')
