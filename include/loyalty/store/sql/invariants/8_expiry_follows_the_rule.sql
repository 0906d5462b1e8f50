-- The net expiry per profile and midnight is what the rule demands of the events recorded; an account that waits for the
-- next run says so itself (settle_on), and the mark of one that does not is never too late.
WITH night AS (
    SELECT s.*, s.demanded - coalesce(lag(s.demanded) OVER nights, 0) AS owed,
           greatest(program.settled_through,
                    max(s.midnight) FILTER (WHERE s.entry_count > 0) OVER (PARTITION BY s.profile_id)) AS horizon
    FROM loyalty.settlement(ARRAY(
        SELECT profile_id FROM loyalty.account
        WHERE profile_id > :after AND profile_id <= :up_to AND loyalty.in_part(profile_id, :part)
          AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (
              SELECT profile_id FROM loyalty.journey_member
              WHERE run_id = :run_id AND profile_id > :after AND profile_id <= :up_to AND loyalty.in_part(profile_id, :part))))) AS s
    CROSS JOIN loyalty.program
    WINDOW nights AS (PARTITION BY s.profile_id ORDER BY s.midnight)
)
SELECT profile.customer_id, night.midnight, night.owed AS rule, night.recorded, account.settle_on
FROM night JOIN loyalty.account USING (profile_id) JOIN loyalty.profile USING (profile_id)
WHERE night.owed <> night.recorded
  AND coalesce(account.settle_on > CASE WHEN night.midnight <= night.horizon THEN night.horizon ELSE night.midnight END, true)
ORDER BY night.profile_id, night.midnight
