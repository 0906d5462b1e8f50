-- Whose first row was refused is not there either.
UPDATE import_event AS e SET reason = format('the same event as row %s, which was rejected: %s', first.row_number, first.reason)
FROM import_twin AS twin JOIN import_event AS first ON first.row_number = twin.first_row
WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL AND e.reason IS NULL AND first.reason IS NOT NULL
