-- The program's own row says what was applied.
UPDATE loyalty.program
SET timezone = :timezone, zone_since = CASE WHEN timezone = :timezone THEN zone_since ELSE clock_timestamp() END,
    allow_debt = :allow_debt, fingerprint = :fingerprint,
    settings = CAST(:settings AS jsonb), applied_at = clock_timestamp()
