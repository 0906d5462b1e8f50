-- The closed days, in points and in money: a point is worth what it was at the close of its day.
SELECT day, opening, prior_days, earned, reversed, redeemed, returned, expired, cancelled, restored, adjusted, closing, debts, event_count,
       point_value, currency, opening * point_value - revalued AS opening_money, revalued AS revalued_money,
       prior_days * point_value AS prior_days_money, earned * point_value AS earned_money, reversed * point_value AS reversed_money,
       redeemed * point_value AS redeemed_money, returned * point_value AS returned_money, expired * point_value AS expired_money,
       cancelled * point_value AS cancelled_money, restored * point_value AS restored_money, adjusted * point_value AS adjusted_money,
       closing * point_value AS closing_money, closed_at, program_fingerprint, fingerprint
FROM loyalty.daily_close
WHERE day >= coalesce(CAST(:first AS date), day) AND day <= coalesce(CAST(:last AS date), day)
ORDER BY day
