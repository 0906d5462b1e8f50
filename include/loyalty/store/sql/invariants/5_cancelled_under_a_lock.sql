-- Every cancellation of a run lies inside a live lock of that run.
WITH outside AS MATERIALIZED (
    SELECT e.profile_id, e.run_id, e.recorded_at, member.locked_at, member.released_at, member.lock_expires_at
    FROM loyalty.event AS e LEFT JOIN loyalty.journey_member AS member
        ON member.run_id = e.run_id AND member.profile_id = e.profile_id AND loyalty.in_part(member.profile_id, :part)
    WHERE e.action = 'points.cancel' AND e.run_id IS NOT NULL AND (CAST(:run_id AS bigint) IS NULL OR e.run_id = :run_id)
      AND NOT coalesce(e.recorded_at >= member.locked_at AND e.recorded_at <= member.released_at
                       AND e.recorded_at < member.lock_expires_at, false)
)
SELECT profile.customer_id, run_id, recorded_at, locked_at, released_at, lock_expires_at
FROM outside JOIN loyalty.profile USING (profile_id) ORDER BY profile_id
