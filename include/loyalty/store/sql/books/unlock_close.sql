-- The next close may begin.
SELECT pg_advisory_unlock(hashtext('loyalty.close'))
