SELECT loyalty.profile.profile_id,
  coalesce(fact.spared_points, 0) AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of
    AND e.occurred_at >= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 1, 0, 0, 0), 'Europe/Warsaw')) AS spared_points
FROM loyalty.event AS e
WHERE e.action = 'points.loyalty'
    AND e.occurred_at <= :as_of
    AND e.occurred_at >= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 1, 0, 0, 0), 'Europe/Warsaw')
GROUP BY e.profile_id) AS fact ON fact.profile_id = loyalty.profile.profile_id;
