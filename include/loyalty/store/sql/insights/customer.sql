-- A customer and the account, with the lock that is live.
SELECT profile.profile_id, profile.customer_id, profile.attributes, profile.tags, profile.created_at, account.balance, account.latest_at,
       account.settle_on, CASE WHEN account.lock_expires_at > clock_timestamp() THEN account.lock_expires_at END AS locked_until,
       CASE WHEN account.lock_expires_at > clock_timestamp() THEN account.lock_run_id END AS locked_by
FROM loyalty.profile JOIN loyalty.account USING (profile_id) WHERE profile.customer_id = :customer_id
