INSERT INTO import_profile (customer_id, profile_id)
SELECT profile.customer_id, profile.profile_id
FROM loyalty.profile
WHERE profile.customer_id IN (SELECT customer_id FROM import_event WHERE reason IS NULL)
ORDER BY profile.profile_id
