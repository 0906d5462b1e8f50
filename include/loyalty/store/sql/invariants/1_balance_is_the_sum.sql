-- An account's balance is the sum of its points events, its latest time not before theirs, and every event belongs to an
-- account and every account to a profile (of a run's members, where one is given).
WITH asked AS (
    SELECT profile_id FROM loyalty.journey_member WHERE run_id = :run_id AND loyalty.in_part(profile_id, :part)
), told AS (
    SELECT profile_id, coalesce(sum(points), 0)::bigint AS points, max(occurred_at) FILTER (WHERE points IS NOT NULL) AS latest_at
    FROM loyalty.event
    WHERE CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM asked)
    GROUP BY profile_id
), held AS (
    SELECT profile_id, balance, latest_at FROM loyalty.account
    WHERE loyalty.in_part(profile_id, :part) AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM asked))
), known AS (
    SELECT profile_id, customer_id FROM loyalty.profile
    WHERE loyalty.in_part(profile_id, :part) AND (CAST(:run_id AS bigint) IS NULL OR profile_id IN (SELECT profile_id FROM asked))
)
SELECT profile_id, known.customer_id, held.balance, coalesce(told.points, 0) AS sum_of_events, held.latest_at, told.latest_at AS latest_event
FROM held FULL JOIN told USING (profile_id) FULL JOIN known USING (profile_id)
WHERE known.customer_id IS NULL OR held.balance IS DISTINCT FROM coalesce(told.points, 0)
   OR (told.latest_at IS NOT NULL AND coalesce(held.latest_at < told.latest_at, true))
ORDER BY profile_id
