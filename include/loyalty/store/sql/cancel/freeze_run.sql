-- The run is frozen: what is recorded from this instant on is news to it.
UPDATE loyalty.journey_run AS run
SET frozen_at = :frozen_at, frozen_snapshot = CAST(CAST(:frozen_snapshot AS text) AS pg_snapshot),
    member_count = (SELECT count(*) FROM loyalty.journey_member WHERE run_id = :run_id)
WHERE run.run_id = :run_id
