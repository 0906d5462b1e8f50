-- The first event that waits: whether it may be tried now, and whether it was refused before.
SELECT was_refused, coalesce(not_before <= clock_timestamp(), true) AS is_due
FROM loyalty.delivery WHERE subscriber = :subscriber AND NOT is_dead ORDER BY n LIMIT 1
