SELECT row_number, reason FROM import_event WHERE reason IS NOT NULL ORDER BY row_number
