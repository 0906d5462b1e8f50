-- The days whose points, as counted, are not what the lots come to.
WITH lots AS (
    SELECT day, sum(sum(CASE WHEN due_month IS NULL THEN -points ELSE points END)) OVER (ORDER BY day)::bigint AS points
    FROM draft_ageing GROUP BY day
), both_ways AS (
    SELECT draft_day.day, closing,
           coalesce((SELECT lots.points FROM lots WHERE lots.day <= draft_day.day ORDER BY lots.day DESC LIMIT 1), 0) AS lots
    FROM draft_day
)
SELECT day, closing, lots FROM both_ways WHERE closing <> lots ORDER BY day
