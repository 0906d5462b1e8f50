-- One run has at most one cancellation for each profile; one cancellation is given back at most once and exactly, and so is
-- what one activation cost.
SELECT profile.customer_id, e.run_id, 'cancelled ' || count(*) || ' times' AS what, -sum(e.points)::bigint AS points
FROM loyalty.event AS e JOIN loyalty.profile USING (profile_id)
WHERE e.action = 'points.cancel' AND e.run_id IS NOT NULL
  AND (CAST(:run_id AS bigint) IS NULL OR e.profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
GROUP BY profile.customer_id, e.profile_id, e.run_id HAVING count(*) > 1
UNION ALL
SELECT profile.customer_id, taken.run_id, 'restored ' || count(*) || ' times', sum(back.points)::bigint
FROM loyalty.event AS back
JOIN loyalty.event AS taken ON taken.profile_id = back.profile_id AND taken.key = back.refers_to AND taken.action = 'points.cancel'
JOIN loyalty.profile ON profile.profile_id = back.profile_id
WHERE back.action = 'points.restore'
  AND (CAST(:run_id AS bigint) IS NULL OR back.profile_id IN (SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id))
GROUP BY profile.customer_id, taken.profile_id, taken.run_id, taken.key, taken.points
HAVING count(*) > 1 OR sum(back.points) <> -taken.points
UNION ALL
SELECT profile.customer_id, NULL, 'promotion ' || activation.promotion || ' returned ' || count(*) || ' times', sum(e.points)::bigint
FROM loyalty.promotion_activation AS activation
JOIN loyalty.event AS e ON e.profile_id = activation.profile_id AND e.refers_to = activation.activation
    AND e.action = 'client.deactivatePromotion'
JOIN loyalty.profile ON profile.profile_id = activation.profile_id
WHERE CAST(:run_id AS bigint) IS NULL OR activation.run_id = :run_id
GROUP BY profile.customer_id, activation.profile_id, activation.activation, activation.promotion, activation.points
HAVING count(*) > 1 OR sum(e.points) <> activation.points
