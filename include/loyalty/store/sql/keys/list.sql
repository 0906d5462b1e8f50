SELECT key_id, title, CASE WHEN customer_id IS NULL THEN 'workspace' ELSE 'profile' END AS kind, customer_id,
       allows, denies, per_minute, created_at, expires_at, revoked_at,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'ended' ELSE 'good' END AS state
FROM loyalty.api_key ORDER BY created_at DESC, key_id
