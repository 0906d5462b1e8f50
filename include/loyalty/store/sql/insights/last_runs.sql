-- The newest runs, of all journeys or of one.
SELECT run_id, journey, run_key, state, business_date, as_of, member_count, failed_count, points, returned, started_at, finished_at
FROM loyalty.journey_run WHERE coalesce(journey = CAST(:journey AS text), true)
ORDER BY run_id DESC LIMIT :size
