SELECT loyalty.account.profile_id
FROM loyalty.account
WHERE loyalty.account.settle_on <= CAST(timezone('Europe/Warsaw', :as_of) AS DATE);
