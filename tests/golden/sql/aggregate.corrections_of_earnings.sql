SELECT loyalty.profile.profile_id,
  coalesce(referring.corrections_of_earnings, 0) AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action IN ('points.loyalty', 'points.reverse')) IS NOT NULL) AS corrections_of_earnings
FROM loyalty.event AS e
WHERE e.action = 'points.adjust'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS referring ON referring.profile_id = loyalty.profile.profile_id;
