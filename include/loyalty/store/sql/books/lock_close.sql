-- Two closes at once do not meet. Of the session, since what is read afterwards must be one moment that begins after the wait.
SELECT pg_advisory_lock(hashtext('loyalty.close'))
