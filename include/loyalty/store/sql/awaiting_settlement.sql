-- How many accounts the next expiry run has to look at although their midnight is settled for the program.
SELECT count(*) FROM loyalty.account, loyalty.program WHERE account.settle_on <= program.settled_through
