-- The days of the draft are closed, in their order: each carries the chain of fingerprints on.
INSERT INTO loyalty.daily_close SELECT * FROM draft_day ORDER BY day
