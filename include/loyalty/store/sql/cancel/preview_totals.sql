-- What the run would do: members, points, those with nothing to cancel.
SELECT count(*) FILTER (WHERE state <> 'failed') AS member_count,
       coalesce(sum(approved) FILTER (WHERE state <> 'failed'), 0)::bigint AS points,
       count(*) FILTER (WHERE state <> 'failed' AND approved = 0) AS nothing_count,
       count(*) FILTER (WHERE state = 'failed') AS excluded_count,
       coalesce(sum(approved) FILTER (WHERE state = 'failed'), 0)::bigint AS excluded_points
FROM loyalty.journey_member WHERE run_id = :run_id
