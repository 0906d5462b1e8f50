-- One customer's profile and account.
SELECT profile.profile_id, profile.customer_id, profile.attributes, profile.tags, profile.created_at,
       account.balance, account.settle_on, account.award_from
FROM loyalty.profile JOIN loyalty.account USING (profile_id)
WHERE profile.customer_id = :customer_id
