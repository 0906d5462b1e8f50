-- A chunk of a run that may go on, with the run's settings.
SELECT run.settings, chunk.first_profile_id, chunk.last_profile_id
FROM loyalty.journey_chunk AS chunk JOIN loyalty.journey_run AS run USING (run_id)
WHERE run_id = :run_id AND chunk = :chunk AND run.decision IN ('approved', 'not needed')
