-- The last closed day up to a day (null: of all).
SELECT max(day) FROM loyalty.daily_close WHERE day <= coalesce(CAST(:last AS date), day)
