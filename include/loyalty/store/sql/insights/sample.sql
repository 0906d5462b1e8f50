-- Profiles drawn at random, the same ones for the same seed; all of them, where there are not many more than are wanted.
WITH bound AS MATERIALIZED (
    SELECT coalesce(max(profile_id), 0) AS last, setseed(0.5) FROM loyalty.profile
), few AS (
    SELECT profile_id FROM loyalty.profile LIMIT 2 * CAST(:size AS integer) + 1
), drawn AS (
    SELECT DISTINCT 1 + floor(random() * last)::bigint AS profile_id
    FROM bound CROSS JOIN generate_series(1, CAST(:size AS integer)) WHERE last > 2 * CAST(:size AS integer)
)
SELECT profile_id FROM few WHERE (SELECT count(*) FROM few) <= 2 * CAST(:size AS integer)
UNION
SELECT profile_id FROM drawn JOIN loyalty.profile USING (profile_id) WHERE (SELECT count(*) FROM few) > 2 * CAST(:size AS integer)
