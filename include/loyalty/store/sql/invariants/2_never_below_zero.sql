-- No balance is below zero at any moment of recording, unless the program allows debt.
WITH level AS (
    -- What was recorded at one moment counts together: each of its rows has the sum with all of them.
    SELECT profile_id, recorded_at, sum(points) OVER (PARTITION BY profile_id ORDER BY recorded_at)::bigint AS balance
    FROM loyalty.event WHERE points IS NOT NULL
      AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (
          SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
)
SELECT profile.customer_id, level.recorded_at, level.balance
FROM level JOIN loyalty.profile USING (profile_id) CROSS JOIN loyalty.program
WHERE level.balance < 0 AND NOT program.allow_debt
GROUP BY level.profile_id, profile.customer_id, level.recorded_at, level.balance
ORDER BY level.profile_id, level.recorded_at
