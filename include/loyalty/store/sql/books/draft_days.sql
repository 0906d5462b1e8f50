-- The rows of the days from the first to the last, from the counters. What was told since the last close of the days before is the
-- first day's prior days; nothing is told of a day and closed twice, since opening and counters are of one moment.
INSERT INTO draft_day (
    day, opening, prior_days, earned, reversed, redeemed, returned, expired, cancelled, restored, adjusted, closing, debts, event_count,
    point_value, currency, revalued, program_fingerprint)
WITH last AS (
    SELECT closing, point_value, currency FROM loyalty.daily_close ORDER BY day DESC LIMIT 1
), start AS (
    SELECT coalesce(sum(points), 0) AS reached,
           coalesce((SELECT closing FROM last), 0) AS opening,
           -- Another currency has no old value to compare with.
           coalesce((SELECT point_value FROM last WHERE currency = :currency), CAST(:point_value AS numeric)) AS point_value
    FROM loyalty.points_flow WHERE day < CAST(:first AS date)
), debt AS (
    SELECT day, sum(sum(points)) OVER (ORDER BY day) AS points FROM draft_ageing WHERE due_month IS NULL GROUP BY day
), moved AS (
    SELECT asked.day::date AS day,
           coalesce(sum(points) FILTER (WHERE effect = 'earn'), 0) AS earned,
           coalesce(-sum(points) FILTER (WHERE effect = 'reverse'), 0) AS reversed,
           coalesce(-sum(points) FILTER (WHERE effect = 'redeem'), 0) AS redeemed,
           coalesce(sum(points) FILTER (WHERE effect = 'return'), 0) AS returned,
           coalesce(-sum(points) FILTER (WHERE effect = 'expire'), 0) AS expired,
           coalesce(-sum(points) FILTER (WHERE effect = 'cancel'), 0) AS cancelled,
           coalesce(sum(points) FILTER (WHERE effect = 'restore'), 0) AS restored,
           coalesce(sum(points) FILTER (WHERE effect = 'adjust'), 0) AS adjusted,
           coalesce(sum(points), 0) AS change, coalesce(sum(event_count), 0) AS event_count
    FROM generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS asked(day)
    LEFT JOIN loyalty.points_flow AS flow ON flow.day = asked.day::date
    GROUP BY asked.day
), level AS (
    SELECT moved.*, start.reached + sum(change) OVER (ORDER BY moved.day) AS closing FROM moved CROSS JOIN start
), opened AS (
    SELECT level.*, level.day = CAST(:first AS date) AS is_first,
           CASE WHEN level.day = CAST(:first AS date) THEN start.opening ELSE level.closing - level.change END AS opening
    FROM level CROSS JOIN start
)
SELECT opened.day, opened.opening, CASE WHEN is_first THEN start.reached - start.opening ELSE 0 END, earned, reversed, redeemed, returned,
       expired, cancelled, restored, adjusted, closing,
       coalesce((SELECT debt.points FROM debt WHERE debt.day <= opened.day ORDER BY debt.day DESC LIMIT 1), 0), event_count,
       CAST(:point_value AS numeric), :currency,
       CASE WHEN is_first THEN opened.opening * (CAST(:point_value AS numeric) - start.point_value) ELSE 0 END, :fingerprint
FROM opened CROSS JOIN start
