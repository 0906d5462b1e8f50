-- Each closed day follows the one before and opens with its closing, closes with its lots less the debts, and carries the
-- fingerprint that its row, its ageing, its cohorts and the day before give; its cohorts come to its closing.
WITH chained AS (
    SELECT the, lag(the.day) OVER days AS day_before, lag(the.closing) OVER days AS closing_before,
           coalesce(lag(the.fingerprint) OVER days, '') AS fingerprint_before
    FROM loyalty.daily_close AS the WINDOW days AS (ORDER BY the.day)
), lots AS (
    SELECT day, sum(points) AS points FROM loyalty.daily_close_ageing GROUP BY day
), cohorts AS (
    SELECT day, sum(remaining) AS points FROM loyalty.daily_close_cohort GROUP BY day
), checked AS (
    SELECT (the).day, CASE
        WHEN day_before <> (the).day - 1 THEN 'follows ' || day_before
        WHEN (the).opening <> coalesce(closing_before, 0) THEN format('opens with %s after %s', (the).opening, coalesce(closing_before, 0))
        WHEN (the).closing <> coalesce(lots.points, 0) - (the).debts THEN format('closes with %s, its lots less the debts are %s',
            (the).closing, coalesce(lots.points, 0) - (the).debts)
        WHEN (the).closing <> cohorts.points THEN format('closes with %s, its cohorts hold %s', (the).closing, cohorts.points)
        WHEN (the).fingerprint <> loyalty.close_fingerprint(fingerprint_before, the) THEN 'has another fingerprint than its content'
    END AS fault
    FROM chained LEFT JOIN lots ON lots.day = (the).day LEFT JOIN cohorts ON cohorts.day = (the).day
)
SELECT day, fault FROM checked WHERE fault IS NOT NULL ORDER BY day
