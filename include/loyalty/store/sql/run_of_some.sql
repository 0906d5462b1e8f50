-- The run, unless all profiles are its members: whom it is about need not be asked then.
SELECT CAST(:run_id AS bigint) WHERE (SELECT count(*) FROM loyalty.journey_member WHERE run_id = :run_id) < (SELECT count(*) FROM loyalty.account)
