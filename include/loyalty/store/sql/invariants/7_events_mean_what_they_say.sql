-- An event moves the balance by what its action and parameters say, and one of an unknown action does not; what settles a
-- midnight is dated by it, in the zone that counts since before it was recorded.
WITH wrong AS MATERIALIZED (
    SELECT e.profile_id, e.action, e.occurred_at, e.points,
           CASE WHEN e.points IS DISTINCT FROM meant.points THEN 'says ' || coalesce(meant.points::text, 'nothing')
                ELSE 'settles ' || coalesce(e.params ->> 'midnight', 'no midnight') END AS fault
    FROM loyalty.event AS e CROSS JOIN loyalty.program
    LEFT JOIN loyalty.action USING (action)
    CROSS JOIN LATERAL (
        SELECT loyalty.balance_effect(action.effect, loyalty.points_of(e.params -> action.parameter)) AS points) AS meant
    WHERE (CAST(:run_id AS bigint) IS NULL OR e.profile_id IN (
        SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)))
      AND (e.points IS DISTINCT FROM meant.points
        OR (action.effect <> 'none' AND e.points IS NULL)
        OR (e.source = 'rolling_expiry' AND e.recorded_at > program.zone_since
            AND e.occurred_at IS DISTINCT FROM loyalty.midnight((e.params ->> 'midnight')::date, program.timezone)))
)
SELECT profile.customer_id, wrong.action, wrong.occurred_at, wrong.points, wrong.fault
FROM wrong LEFT JOIN loyalty.profile USING (profile_id) ORDER BY wrong.profile_id, wrong.occurred_at
