-- No balance is below zero at any moment of recording, unless the program allows debt.
WITH level AS (
    -- What was recorded at one moment counts together: each of its rows has the sum with all of them.
    SELECT profile_id, recorded_at, sum(points) OVER (PARTITION BY profile_id ORDER BY recorded_at)::bigint AS balance
    FROM loyalty.event WHERE points IS NOT NULL
      AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (
          SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
), below AS MATERIALIZED (
    SELECT DISTINCT profile_id, recorded_at, balance FROM level CROSS JOIN loyalty.program
    WHERE balance < 0 AND NOT program.allow_debt
)
SELECT profile.customer_id, below.recorded_at, below.balance
FROM below JOIN loyalty.profile USING (profile_id) ORDER BY below.profile_id, below.recorded_at
