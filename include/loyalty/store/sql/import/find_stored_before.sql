-- By the primary key of the ledger, (profile_id, key).
INSERT INTO import_there (row_number)
SELECT e.row_number
FROM import_event AS e
JOIN import_profile AS profile USING (customer_id)
JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = e.key
WHERE e.reason IS NULL
  AND NOT EXISTS (SELECT FROM import_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL)
