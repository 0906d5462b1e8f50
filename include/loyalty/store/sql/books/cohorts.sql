-- What became of the points of each earning month, as of the latest close with cohorts up to the day (null: the latest of all).
SELECT day, CASE earned_month WHEN '0001-01-01' THEN 'none' ELSE to_char(earned_month, 'YYYY-MM') END AS earned_month, earned, redeemed, expired, cancelled, remaining,
       round(redeemed::numeric / NULLIF(earned, 0), 4) AS redemption_rate,
       round((expired + cancelled)::numeric / NULLIF(earned, 0), 4) AS breakage_rate
FROM loyalty.daily_close_cohort
WHERE day = (SELECT max(day) FROM loyalty.daily_close_cohort WHERE day <= coalesce(CAST(:day AS date), day))
ORDER BY daily_close_cohort.earned_month
