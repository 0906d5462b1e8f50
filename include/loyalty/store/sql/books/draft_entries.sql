-- The points events of a slice of the customers, up to the last day. Where one takes from a lot that begins on a later day (a refund
-- may be dated before what it takes back), it says on which.
INSERT INTO draft_entry
SELECT e.*, CASE WHEN e.amount < 0 AND e.opened_at > e.occurred_at THEN
    nullif(loyalty.book_day(e.opened_at, (SELECT timezone FROM loyalty.program)), e.day) END
FROM (
    SELECT profile_id FROM loyalty.account WHERE profile_id > :after AND profile_id <= :up_to AND latest_at IS NOT NULL) AS wanted
-- OFFSET 0 keeps it one look-up for each profile, in its partition.
CROSS JOIN LATERAL (SELECT * FROM loyalty.booked_entry AS b WHERE b.profile_id = wanted.profile_id OFFSET 0) AS e
WHERE e.day <= CAST(:last AS date)
