SELECT pg_try_advisory_xact_lock(hashtext('loyalty.delivery'), hashtext(:subscriber))
