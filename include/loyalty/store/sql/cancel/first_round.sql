-- What a second round keeps of the first.
SELECT as_of, frozen_at, frozen_snapshot::text AS frozen_snapshot, spared_from, state, journey, definitions, fingerprint FROM loyalty.journey_run WHERE run_id = :run_id
