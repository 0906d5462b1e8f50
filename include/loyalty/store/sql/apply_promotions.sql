-- The promotions of the program are offered as it says; those that it no longer has are kept, and not offered.
WITH wanted AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:promotions AS jsonb)) AS p(
        name text, title text, required_points bigint, valid_from date, valid_to date, valid_days integer)
), withdrawn AS (
    UPDATE loyalty.promotion SET is_offered = false WHERE is_offered AND promotion NOT IN (SELECT name FROM wanted)
)
INSERT INTO loyalty.promotion (promotion, title, required_points, valid_from, valid_to, valid_days)
SELECT name, title, required_points, valid_from, valid_to, valid_days FROM wanted
ON CONFLICT (promotion) DO UPDATE
SET title = excluded.title, required_points = excluded.required_points, valid_from = excluded.valid_from,
    valid_to = excluded.valid_to, valid_days = excluded.valid_days, is_offered = true
