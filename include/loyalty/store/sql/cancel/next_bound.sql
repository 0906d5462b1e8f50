-- Where the next range of this many members ends.
SELECT max(profile_id) FROM (
    SELECT profile_id FROM loyalty.journey_member
    WHERE run_id = :run_id AND profile_id > :after AND profile_id <= :last ORDER BY profile_id LIMIT :size
) AS members
