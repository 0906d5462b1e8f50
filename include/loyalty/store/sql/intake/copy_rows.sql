COPY intake_row (row_number, fault, customer_id, action, utc_time, local_time, event_id, source, params)
FROM STDIN (FORMAT csv, ENCODING 'UTF8')
