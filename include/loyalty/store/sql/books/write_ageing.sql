-- The ageing of each day of the draft: of each month, all changes so far.
INSERT INTO loyalty.daily_close_ageing (day, due_month, points)
WITH level AS (
    SELECT day, due_month, sum(sum(points)) OVER (PARTITION BY due_month ORDER BY day) AS points,
           lead(day) OVER (PARTITION BY due_month ORDER BY day) AS until
    FROM draft_ageing WHERE due_month IS NOT NULL GROUP BY day, due_month
)
SELECT draft_day.day, level.due_month, level.points
FROM level JOIN draft_day ON draft_day.day >= level.day AND (level.until IS NULL OR draft_day.day < level.until)
WHERE level.points <> 0
