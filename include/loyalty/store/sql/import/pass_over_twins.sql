INSERT INTO import_there (row_number)
SELECT e.row_number FROM import_event AS e JOIN import_twin AS twin USING (row_number)
WHERE e.event_id IS NOT NULL AND e.reason IS NULL
