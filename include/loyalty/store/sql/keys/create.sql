INSERT INTO loyalty.api_key (key_id, digest, title, customer_id, allows, denies, per_minute, expires_at)
VALUES (:key_id, :digest, :title, :customer_id, CAST(:allows AS text[]), CAST(:denies AS text[]), :per_minute, :expires_at)
