-- Points that all customers hold, from the counters of the days.
SELECT coalesce(sum(points), 0)::bigint AS points FROM loyalty.points_flow
