SELECT loyalty.profile.profile_id, the_cancelled_points.cancelled_points AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.cancel'
    AND e.occurred_at < :as_of) AS cancellation_points
FROM loyalty.event AS e
WHERE e.action = 'points.cancel'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS fact ON fact.profile_id = loyalty.profile.profile_id
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.restore'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.expire') IS NULL) AS restored_points
FROM loyalty.event AS e
WHERE e.action = 'points.restore'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS referring ON referring.profile_id = loyalty.profile.profile_id
JOIN LATERAL (SELECT coalesce(fact.cancellation_points, 0) - coalesce(referring.restored_points, 0) AS cancelled_points) AS the_cancelled_points ON true;
