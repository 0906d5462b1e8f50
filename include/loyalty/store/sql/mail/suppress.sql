-- These addresses get no mail any more; returns those that were not known as such.
INSERT INTO loyalty.email_suppression (address, reason, detail)
SELECT DISTINCT ON (address) address, reason, detail
FROM unnest(CAST(:addresses AS text[]), CAST(:reasons AS text[]), CAST(:details AS text[])) AS told(address, reason, detail)
ORDER BY address, reason DESC
ON CONFLICT (address) DO NOTHING
