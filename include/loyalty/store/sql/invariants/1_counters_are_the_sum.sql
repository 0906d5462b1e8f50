-- The counters of each day and effect are the sums of its events.
WITH told AS (
    SELECT day, effect, sum(points)::bigint AS points, count(*) AS event_count FROM loyalty.booked_entry GROUP BY day, effect
), counted AS (
    SELECT day, effect, sum(points)::bigint AS points, sum(event_count)::bigint AS event_count FROM loyalty.points_flow GROUP BY day, effect
)
SELECT day, effect, coalesce(counted.points, 0) AS counted, coalesce(told.points, 0) AS sum_of_events,
       coalesce(counted.event_count, 0) AS counted_events, coalesce(told.event_count, 0) AS events
FROM told FULL JOIN counted USING (day, effect)
WHERE (coalesce(told.points, 0), coalesce(told.event_count, 0)) <> (coalesce(counted.points, 0), coalesce(counted.event_count, 0))
ORDER BY day, effect
