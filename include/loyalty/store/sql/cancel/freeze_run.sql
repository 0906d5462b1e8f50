-- The run is frozen: what is recorded from this instant on is news to it.
UPDATE loyalty.journey_run AS run
SET frozen_at = coalesce(CAST(:frozen_at AS timestamptz), CAST(:now AS timestamptz)),
    member_count = (SELECT count(*) FROM loyalty.journey_member WHERE run_id = :run_id)
WHERE run.run_id = :run_id
