-- The points events of a slice of the customers, up to the last day.
INSERT INTO draft_entry
SELECT e.* FROM (
    SELECT profile_id FROM loyalty.account WHERE profile_id > :after AND profile_id <= :up_to AND latest_at IS NOT NULL) AS wanted
-- OFFSET 0 keeps it one look-up for each profile, in its partition.
CROSS JOIN LATERAL (SELECT * FROM loyalty.booked_entry AS b WHERE b.profile_id = wanted.profile_id OFFSET 0) AS e
WHERE e.day <= CAST(:last AS date)
