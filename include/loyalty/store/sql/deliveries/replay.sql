-- What was given up waits again, before all that came later.
UPDATE loyalty.delivery SET is_dead = false, attempts = 0, was_refused = false, not_before = NULL, first_tried_at = NULL
WHERE is_dead AND (CAST(:subscriber AS text) IS NULL OR subscriber = :subscriber)
