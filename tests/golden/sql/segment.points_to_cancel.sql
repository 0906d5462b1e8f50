SELECT loyalty.profile.profile_id
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of) AS earned_points,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.reverse'
    AND e.occurred_at < :as_of) AS reversed_points,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.expire'
    AND e.occurred_at <= :as_of) AS expiry_points,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'client.activatePromotion'
    AND e.occurred_at < :as_of) AS activated_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'client.deactivatePromotion'
    AND e.occurred_at < :as_of) AS returned_points,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.cancel'
    AND e.occurred_at < :as_of) AS cancellation_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of) AS adjusted_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of
    AND e.occurred_at >= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 1, 0, 0, 0), 'Europe/Warsaw')) AS spared_points
FROM loyalty.event AS e
WHERE e.action IN ('points.loyalty', 'points.reverse', 'points.expire', 'client.activatePromotion', 'client.deactivatePromotion', 'points.cancel', 'points.adjust')
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS fact ON fact.profile_id = loyalty.profile.profile_id
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND coalesce(e.points > 0, false)
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action IN ('points.loyalty', 'points.reverse', 'points.expire', 'points.cancel', 'points.restore', 'points.adjust', 'client.activatePromotion', 'client.deactivatePromotion')) IS NULL) AS gifted_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action IN ('points.loyalty', 'points.reverse')) IS NOT NULL) AS corrections_of_earnings,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.adjust'
    AND coalesce(referred.points > 0, false)) IS NOT NULL) AS corrections_of_gifts,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.restore'
    AND e.occurred_at <= :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.expire') IS NOT NULL) AS expiry_corrections,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.restore'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.expire') IS NULL) AS restored_points
FROM loyalty.event AS e
WHERE e.action IN ('points.adjust', 'points.restore')
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS referring ON referring.profile_id = loyalty.profile.profile_id
JOIN LATERAL (SELECT (coalesce(fact.earned_points, 0) - coalesce(fact.reversed_points, 0)) + coalesce(referring.gifted_points, 0) + coalesce(referring.corrections_of_earnings, 0) + coalesce(referring.corrections_of_gifts, 0) AS collected_points) AS the_collected_points ON true
JOIN LATERAL (SELECT coalesce(fact.expiry_points, 0) - coalesce(referring.expiry_corrections, 0) AS expired_points) AS the_expired_points ON true
JOIN LATERAL (SELECT coalesce(fact.activated_points, 0) - coalesce(fact.returned_points, 0) AS redeemed_points) AS the_redeemed_points ON true
JOIN LATERAL (SELECT coalesce(fact.cancellation_points, 0) - coalesce(referring.restored_points, 0) AS cancelled_points) AS the_cancelled_points ON true
JOIN LATERAL (SELECT (coalesce(referring.gifted_points, 0) + coalesce(referring.corrections_of_earnings, 0) + coalesce(referring.corrections_of_gifts, 0)) - coalesce(fact.adjusted_points, 0) AS adjusted_down) AS the_adjusted_down ON true
JOIN LATERAL (SELECT the_expired_points.expired_points + the_redeemed_points.redeemed_points + the_cancelled_points.cancelled_points + the_adjusted_down.adjusted_down AS points_lost) AS the_points_lost ON true
JOIN LATERAL (SELECT the_collected_points.collected_points - the_points_lost.points_lost AS current_balance) AS the_current_balance ON true
JOIN LATERAL (SELECT greatest(0, the_current_balance.current_balance - coalesce(fact.spared_points, 0)) AS points_to_cancel) AS the_points_to_cancel ON true
WHERE coalesce(the_points_to_cancel.points_to_cancel > 0, false);
