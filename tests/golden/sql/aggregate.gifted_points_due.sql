SELECT loyalty.profile.profile_id,
  coalesce(referring.gifted_points_due, 0) AS value
FROM loyalty.profile
LEFT OUTER JOIN (SELECT e.profile_id AS profile_id,
  loyalty.total(e.points) FILTER (WHERE e.action = 'points.adjust'
    AND e.occurred_at < :as_of
    AND coalesce(CASE WHEN ((e.params ->> 'expires_on') ~ '^\s*(?!0000)(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)\s*$') THEN loyalty.local_instant(CAST(e.params ->> 'expires_on' AS TIMESTAMP WITHOUT TIME ZONE), 'Europe/Warsaw') END <= :as_of, false)
    AND coalesce(e.points > 0, false)
    AND (SELECT true AS found
FROM loyalty.event AS referred
WHERE referred.profile_id = e.profile_id
    AND referred.key = e.refers_to
    AND referred.action IN ('points.loyalty', 'points.reverse', 'points.expire', 'points.cancel', 'points.restore', 'points.adjust', 'client.activatePromotion', 'client.deactivatePromotion')) IS NULL) AS gifted_points_due
FROM loyalty.event AS e
WHERE e.action = 'points.adjust'
    AND e.occurred_at <= :as_of
GROUP BY e.profile_id) AS referring ON referring.profile_id = loyalty.profile.profile_id;
