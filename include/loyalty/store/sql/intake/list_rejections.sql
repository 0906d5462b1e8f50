SELECT row_number, reason FROM intake_event WHERE reason IS NOT NULL ORDER BY row_number
