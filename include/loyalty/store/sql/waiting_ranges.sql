-- The members of the run that wait for it, in ranges of at most this size, so many at least that they can be worked on side by
-- side where that is worth it.
SELECT part, min(profile_id) AS first, max(profile_id) AS last
FROM (
    SELECT profile_id, floor((row_number() OVER (ORDER BY profile_id) - 1) * greatest(
               ceil(count(*) OVER () / CAST(:size AS numeric)), least(:side_by_side, ceil(count(*) OVER () / CAST(:fewest AS numeric))))
               / count(*) OVER ())::integer AS part
    FROM loyalty.journey_member WHERE run_id = :run_id AND state = 'selected'
) AS numbered
GROUP BY part ORDER BY part
