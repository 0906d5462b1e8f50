-- An account's balance is the sum of its points events (of a run's members, where one is given).
SELECT profile.customer_id, account.balance, coalesce(total.points, 0) AS sum_of_events
FROM loyalty.account JOIN loyalty.profile USING (profile_id)
LEFT JOIN (
    SELECT profile_id, sum(points)::bigint AS points FROM loyalty.event
    WHERE (CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
    GROUP BY profile_id) AS total USING (profile_id)
WHERE account.balance <> coalesce(total.points, 0)
  AND (CAST(:run_id AS bigint) IS NULL OR account.profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
ORDER BY account.profile_id
