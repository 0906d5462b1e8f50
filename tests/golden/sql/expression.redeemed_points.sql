SELECT loyalty.profile.profile_id, the_redeemed_points.redeemed_points AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'client.activatePromotion'
    AND e.occurred_at < :as_of) AS activated_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'client.deactivatePromotion'
    AND e.occurred_at < :as_of) AS returned_points
FROM loyalty.event AS e
WHERE e.action IN ('client.activatePromotion', 'client.deactivatePromotion')
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS fact ON fact.profile_id = loyalty.profile.profile_id
JOIN LATERAL (SELECT coalesce(fact.activated_points, 0) - coalesce(fact.returned_points, 0) AS redeemed_points) AS the_redeemed_points ON true;
