-- An account's balance is the sum of its points events.
SELECT profile.customer_id, account.balance, coalesce(total.points, 0) AS sum_of_events
FROM loyalty.account JOIN loyalty.profile USING (profile_id)
LEFT JOIN (SELECT profile_id, sum(points)::bigint AS points FROM loyalty.event GROUP BY profile_id) AS total USING (profile_id)
WHERE account.balance <> coalesce(total.points, 0)
ORDER BY account.profile_id
