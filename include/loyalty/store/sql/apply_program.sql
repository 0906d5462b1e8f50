-- The program's own row says what was applied.
UPDATE loyalty.program
SET timezone = :timezone, allow_debt = :allow_debt, fingerprint = :fingerprint,
    settings = CAST(:settings AS jsonb), applied_at = clock_timestamp()
