SELECT loyalty.profile.profile_id,
  coalesce(referring.reversals_of_182_days_ago, 0) AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.reverse'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.loyalty'
    AND referred.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')) IS NOT NULL) AS reversals_of_182_days_ago
FROM loyalty.event AS e
WHERE e.action = 'points.reverse'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS referring ON referring.profile_id = loyalty.profile.profile_id;
