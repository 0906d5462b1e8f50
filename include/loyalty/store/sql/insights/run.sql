-- A run's record, with the runs that follow from it.
SELECT run.run_id, run.journey, run.run_key, run.state, run.as_of, run.business_date, run.definitions, run.fingerprint, run.settings,
       run.member_count, run.points, run.shortfall, run.returned, run.failed_count, run.audience_of, run.frozen_at, run.spared_from,
       run.decision, run.decided_by, run.decided_at, run.started_at, run.finished_at,
       (SELECT jsonb_agg(jsonb_build_object('run_id', later.run_id, 'journey', later.journey) ORDER BY later.run_id)
        FROM loyalty.journey_run AS later WHERE later.audience_of = run.run_id) AS successors,
       clock_timestamp() AS now
FROM loyalty.journey_run AS run WHERE run.run_id = :run_id
