-- The last day that each stage of a campaign has spoken of, in completed runs before this one.
SELECT stage.key AS stage, max(CAST(stage.value AS date)) AS reached
FROM loyalty.journey_run AS run
CROSS JOIN LATERAL jsonb_each_text(run.settings -> CAST(:campaign AS text)) AS stage
WHERE run.journey = 'expiry_reminder' AND run.state = 'completed' AND run.run_id <> :run_id
  AND run.settings ? CAST(:campaign AS text)
GROUP BY stage.key
