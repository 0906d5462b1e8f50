-- Sorted by the key first: it nearly always decides, and faster than a text.
INSERT INTO import_twin (row_number, first_row, n)
SELECT row_number, first_row, n
FROM (
    SELECT row_number, first_value(row_number) OVER same AS first_row, row_number() OVER same AS n
    FROM import_event WHERE reason IS NULL
    WINDOW same AS (PARTITION BY key, customer_id ORDER BY row_number)
) AS numbered
WHERE n > 1
