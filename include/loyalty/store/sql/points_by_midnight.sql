-- What the run wrote for each midnight: customers, points that expired, points given back. Reads its members' events only.
SELECT (e.params ->> 'midnight')::date AS midnight,
       count(DISTINCT e.profile_id) AS customers,
       coalesce(-sum(e.points) FILTER (WHERE e.points < 0), 0)::bigint AS expired,
       coalesce(sum(e.points) FILTER (WHERE e.points > 0), 0)::bigint AS given_back
FROM loyalty.journey_member AS member
JOIN loyalty.event AS e ON e.profile_id = member.profile_id AND e.run_id = member.run_id
WHERE member.run_id = :run_id
GROUP BY 1 ORDER BY 1
