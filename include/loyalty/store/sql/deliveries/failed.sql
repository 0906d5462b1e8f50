-- They are tried again later, twice as late each time; after too long, or when one alone was refused too often, they are dead.
UPDATE loyalty.delivery
SET attempts = attempts + 1, was_refused = :refused, fault = :fault, first_tried_at = coalesce(first_tried_at, clock_timestamp()),
    not_before = clock_timestamp() + make_interval(secs => least(CAST(:longest AS double precision), CAST(:shortest AS double precision) * 2 ^ least(attempts, 20))),
    is_dead = coalesce(first_tried_at < clock_timestamp() - make_interval(secs => 3600 * CAST(:give_up_hours AS double precision)), false)
        OR (:refused AND :alone AND attempts >= :patience)
WHERE subscriber = :subscriber AND n = ANY (CAST(:numbers AS bigint[]))
