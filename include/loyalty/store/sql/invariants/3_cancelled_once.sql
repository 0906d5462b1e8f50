-- One run has at most one cancellation for each profile; one cancellation is given back at most once and exactly, and so is
-- what one activation cost.
WITH again AS (
    SELECT profile_id, run_id, 'cancelled ' || count(*) || ' times' AS what, -sum(points)::bigint AS points
    FROM loyalty.event
    WHERE action = 'points.cancel' AND run_id IS NOT NULL
      AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (
          SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
    GROUP BY profile_id, run_id HAVING count(*) > 1
    UNION ALL
    SELECT taken.profile_id, taken.run_id, 'restored ' || count(*) || ' times', sum(back.points)::bigint
    FROM loyalty.event AS back
    JOIN loyalty.event AS taken ON taken.profile_id = back.profile_id AND taken.key = back.refers_to AND taken.action = 'points.cancel'
    WHERE back.action = 'points.restore'
      AND (CAST(:run_id AS bigint) IS NULL OR back.profile_id IN (
          SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
    GROUP BY taken.profile_id, taken.run_id, taken.key, taken.points
    HAVING count(*) > 1 OR sum(back.points) <> -taken.points
    UNION ALL
    SELECT activation.profile_id, NULL, 'promotion ' || activation.promotion || ' returned ' || count(*) || ' times', sum(e.points)::bigint
    FROM loyalty.promotion_activation AS activation
    JOIN loyalty.event AS e ON e.profile_id = activation.profile_id AND e.refers_to = activation.activation
        AND e.action = 'client.deactivatePromotion'
    WHERE loyalty.in_part(activation.profile_id, :part) AND (CAST(:run_id AS bigint) IS NULL OR activation.run_id = :run_id)
    GROUP BY activation.profile_id, activation.activation, activation.promotion, activation.points
    HAVING count(*) > 1 OR sum(e.points) <> activation.points
)
SELECT profile.customer_id, again.run_id, again.what, again.points
FROM again JOIN loyalty.profile USING (profile_id) ORDER BY again.profile_id
