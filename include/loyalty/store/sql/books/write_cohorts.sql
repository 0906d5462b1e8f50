-- The cohorts of the draft are those of the day; what neither expired, nor was cancelled, nor is there still, was redeemed.
INSERT INTO loyalty.daily_close_cohort (day, earned_month, earned, redeemed, expired, cancelled, remaining)
SELECT CAST(:last AS date), earned_month, sum(earned), sum(earned - expired - cancelled - remaining), sum(expired), sum(cancelled), sum(remaining)
FROM draft_cohort GROUP BY earned_month
HAVING (sum(abs(earned)), sum(expired), sum(cancelled), sum(remaining)) <> (0, 0, 0, 0)
