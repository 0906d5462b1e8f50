-- Every account with points is looked at by the next expiry run.
UPDATE loyalty.account SET settle_on = '0001-01-01' WHERE latest_at IS NOT NULL
