-- Members whose balance a run under way holds, and of how many a lock is asked for.
SELECT coalesce(sum(progress.member_count) FILTER (WHERE progress.state IN ('locked', 'deactivating')), 0)::bigint AS locked,
       coalesce(sum(progress.member_count) FILTER (WHERE progress.state = 'lock_requested'), 0)::bigint AS asked
FROM loyalty.journey_progress AS progress JOIN loyalty.journey_run AS run USING (run_id) WHERE run.state = 'running'
