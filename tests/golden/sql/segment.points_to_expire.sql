SELECT loyalty.account.profile_id
FROM loyalty.account
WHERE loyalty.account.settle_on <= greatest(CAST(timezone('Europe/Warsaw', :as_of) AS DATE), '0001-01-01');
