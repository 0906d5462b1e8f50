-- A number for a sender, which holds a lock of this number until its session ends.
WITH number AS MATERIALIZED (SELECT nextval('loyalty.email_sender')::integer AS sender)
SELECT sender, pg_advisory_lock(1768709487, sender) FROM number
