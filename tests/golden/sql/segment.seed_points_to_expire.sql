SELECT found.profile_id
FROM (SELECT e.profile_id AS profile_id
FROM loyalty.event AS e
WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of
    AND e.occurred_at > loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw') - make_interval(0, 0, 0, 0, 24)
    AND e.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')
    AND coalesce(e.points > 0, false)
GROUP BY e.profile_id) AS found
JOIN LATERAL (SELECT loyalty.total(e.points) FILTER (WHERE e.action = 'points.loyalty'
    AND e.occurred_at < :as_of
    AND e.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')) AS earned_182_days_ago,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.loyalty'
    AND referred.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')) IS NOT NULL) AS corrections_of_182_days_ago,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND coalesce(CASE WHEN ((e.params ->> 'expires_on') ~ '^\s*(?!0000)(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)\s*$') THEN loyalty.local_instant(CAST(e.params ->> 'expires_on' AS TIMESTAMP WITHOUT TIME ZONE), 'Europe/Warsaw') END <= :as_of, false)
    AND coalesce(e.points > 0, false)
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action IN ('points.loyalty', 'points.reverse', 'points.expire', 'points.cancel', 'points.restore', 'points.adjust', 'client.activatePromotion', 'client.deactivatePromotion')) IS NULL) AS gifted_points_due,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.adjust'
    AND coalesce(CASE WHEN ((referred.params ->> 'expires_on') ~ '^\s*(?!0000)(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)\s*$') THEN loyalty.local_instant(CAST(referred.params ->> 'expires_on' AS TIMESTAMP WITHOUT TIME ZONE), 'Europe/Warsaw') END <= :as_of, false)
    AND coalesce(referred.points > 0, false)) IS NOT NULL) AS corrections_of_gifts_due,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.reverse'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.loyalty'
    AND referred.occurred_at <= loyalty.local_instant(timezone('Europe/Warsaw', :as_of) - make_interval(0, 0, 0, 182, 0), 'Europe/Warsaw')) IS NOT NULL) AS reversals_of_182_days_ago,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.expire'
    AND e.occurred_at <= :as_of) AS expiry_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.restore'
    AND e.occurred_at <= :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.expire') IS NOT NULL) AS expiry_corrections,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'client.activatePromotion'
    AND e.occurred_at < :as_of) AS activated_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'client.deactivatePromotion'
    AND e.occurred_at < :as_of) AS returned_points,
  loyalty.total(-e.points) FILTER (WHERE e.action = 'points.cancel'
    AND e.occurred_at < :as_of) AS cancellation_points,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.restore'
    AND e.occurred_at < :as_of
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action = 'points.expire') IS NULL) AS restored_points,
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
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of) AS adjusted_points
FROM loyalty.event AS e
WHERE e.profile_id = found.profile_id
    AND e.action IN ('points.loyalty', 'points.adjust', 'points.reverse', 'points.expire', 'points.restore', 'client.activatePromotion', 'client.deactivatePromotion', 'points.cancel')
    AND e.occurred_at <= :as_of) AS fact ON true
JOIN LATERAL (SELECT (coalesce(fact.earned_182_days_ago, 0) + coalesce(fact.corrections_of_182_days_ago, 0) + coalesce(fact.gifted_points_due, 0) + coalesce(fact.corrections_of_gifts_due, 0)) - coalesce(fact.reversals_of_182_days_ago, 0) AS matured_points) AS the_matured_points ON true
JOIN LATERAL (SELECT coalesce(fact.expiry_points, 0) - coalesce(fact.expiry_corrections, 0) AS expired_points) AS the_expired_points ON true
JOIN LATERAL (SELECT coalesce(fact.activated_points, 0) - coalesce(fact.returned_points, 0) AS redeemed_points) AS the_redeemed_points ON true
JOIN LATERAL (SELECT coalesce(fact.cancellation_points, 0) - coalesce(fact.restored_points, 0) AS cancelled_points) AS the_cancelled_points ON true
JOIN LATERAL (SELECT (coalesce(fact.gifted_points, 0) + coalesce(fact.corrections_of_earnings, 0) + coalesce(fact.corrections_of_gifts, 0)) - coalesce(fact.adjusted_points, 0) AS adjusted_down) AS the_adjusted_down ON true
JOIN LATERAL (SELECT the_expired_points.expired_points + the_redeemed_points.redeemed_points + the_cancelled_points.cancelled_points + the_adjusted_down.adjusted_down AS points_lost) AS the_points_lost ON true
JOIN LATERAL (SELECT CASE WHEN coalesce(the_matured_points.matured_points <= the_points_lost.points_lost, false) THEN 0 ELSE the_matured_points.matured_points - the_points_lost.points_lost END AS points_to_expire) AS the_points_to_expire ON true
WHERE coalesce(the_points_to_expire.points_to_expire > 0, false);
