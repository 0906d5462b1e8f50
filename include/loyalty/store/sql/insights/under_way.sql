-- Members whose balance a run under way holds, and of how many a lock is asked for; of a run that was given up, all locks have
-- ended when its longest could.
WITH run AS (
    SELECT journey_run.run_id
    FROM loyalty.journey_run JOIN loyalty.journey_progress AS progress ON progress.run_id = journey_run.run_id
    WHERE journey_run.state = 'running'
    GROUP BY journey_run.run_id, settings
    HAVING max(moment) > clock_timestamp() - coalesce((settings ->> 'lock_minutes')::double precision, 120) * interval '1 minute'
)
SELECT coalesce(sum(member_count) FILTER (WHERE state IN ('locked', 'deactivating')), 0)::bigint AS locked,
       coalesce(sum(member_count) FILTER (WHERE state = 'lock_requested'), 0)::bigint AS asked
FROM loyalty.journey_progress JOIN run USING (run_id)
