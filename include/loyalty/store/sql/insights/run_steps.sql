-- When members of a run came to each state first, and when the last of them came or left it.
SELECT progress.state, greatest(min(moment), run.started_at) AS first_at,
       least(max(moment) + interval '5 seconds', run.finished_at, clock_timestamp()) AS last_at
FROM loyalty.journey_progress AS progress JOIN loyalty.journey_run AS run USING (run_id) WHERE run_id = :run_id
GROUP BY progress.state, run.started_at, run.finished_at ORDER BY first_at, last_at
