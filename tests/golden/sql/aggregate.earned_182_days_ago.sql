SELECT loyalty.profile.profile_id,
  coalesce(fact.earned_182_days_ago, 0) AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of
    AND e.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')) AS earned_182_days_ago
FROM loyalty.event AS e
WHERE e.action = 'points.loyalty'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS fact ON fact.profile_id = loyalty.profile.profile_id;
