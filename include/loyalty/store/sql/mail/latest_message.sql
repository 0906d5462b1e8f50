-- The newest message of a campaign to a customer.
SELECT key FROM loyalty.email WHERE profile_id = :profile_id AND campaign = :campaign ORDER BY queued_at DESC LIMIT 1
