-- What the run would do: members, points, those with nothing to cancel.
SELECT count(*) FILTER (WHERE reason IS DISTINCT FROM 'excluded') AS member_count,
       coalesce(sum(approved) FILTER (WHERE reason IS DISTINCT FROM 'excluded'), 0)::bigint AS points,
       count(*) FILTER (WHERE reason IS DISTINCT FROM 'excluded' AND approved = 0) AS nothing_count,
       count(*) FILTER (WHERE reason = 'excluded') AS excluded_count,
       coalesce(sum(approved) FILTER (WHERE reason = 'excluded'), 0)::bigint AS excluded_points
FROM loyalty.journey_member WHERE run_id = :run_id
