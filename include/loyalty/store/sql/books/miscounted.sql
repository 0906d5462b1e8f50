-- Where the counters and the events part, up to a day: the day, the effect, both sums, and a few customers with such events.
WITH told AS (
    SELECT day, effect, sum(points)::bigint AS points, count(*) AS event_count, min(profile_id) AS a, max(profile_id) AS b
    FROM loyalty.booked_entry WHERE day <= CAST(:day AS date) GROUP BY day, effect
), counted AS (
    SELECT day, effect, sum(points)::bigint AS points, sum(event_count) AS event_count
    FROM loyalty.points_flow WHERE day <= CAST(:day AS date) GROUP BY day, effect
)
SELECT day, effect, coalesce(counted.points, 0) AS counted, coalesce(told.points, 0) AS recorded,
       (SELECT string_agg(customer_id, ', ' ORDER BY profile_id) FROM loyalty.profile WHERE profile_id IN (told.a, told.b)) AS customers
FROM told FULL JOIN counted USING (day, effect)
WHERE (told.points, told.event_count) IS DISTINCT FROM (counted.points, counted.event_count)
ORDER BY day, effect LIMIT 5
