UPDATE loyalty.api_key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE key_id = :key_id
