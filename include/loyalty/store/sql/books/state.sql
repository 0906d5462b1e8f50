-- How far the books are: the first and last closed day, the first day with points, the last settled midnight, and today.
SELECT (SELECT min(day) FROM loyalty.daily_close) AS first_closed, (SELECT max(day) FROM loyalty.daily_close) AS last_closed,
       (SELECT min(day) FROM loyalty.points_flow) AS first_day, settled_through,
       loyalty.book_day(clock_timestamp(), timezone) AS today
FROM loyalty.program
