-- The counters of closed days are one for each day and effect.
SELECT loyalty.fold_points(CAST(:day AS date))
