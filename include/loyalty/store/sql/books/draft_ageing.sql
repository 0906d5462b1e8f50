-- Of a slice of the customers, lot by lot: by how much the points due in each month (null: the debts) change on each day from the
-- first to the last; what was before is of the first. All losses are charged to the points that are due soonest, as in loyalty.lot:
-- what a month still holds is what is left of it and all months before, less what was left of those. It reads events, no counter.
INSERT INTO draft_ageing (day, due_month, points)
WITH entry AS MATERIALIZED (
    SELECT e.profile_id, greatest(e.day, CAST(:first AS date)) AS day, e.amount,
           CASE WHEN e.side = 'collected' THEN coalesce(date_trunc('month', e.due_on)::date, date '9999-12-01') END AS due_month
    FROM (SELECT profile_id FROM loyalty.account WHERE profile_id > :after AND profile_id <= :up_to AND latest_at IS NOT NULL) AS wanted
    -- OFFSET 0 keeps it one look-up for each profile, in its partition, by the index event_occurred_at.
    CROSS JOIN LATERAL (SELECT * FROM loyalty.booked_entry AS b WHERE b.profile_id = wanted.profile_id OFFSET 0) AS e
    WHERE e.day <= CAST(:last AS date)
), step AS (
    SELECT profile_id, day,
           sum(coalesce(sum(amount) FILTER (WHERE due_month IS NULL), 0)) OVER (PARTITION BY profile_id ORDER BY day) AS lost
    FROM entry GROUP BY profile_id, day
), gain AS (
    SELECT profile_id, day, due_month, sum(amount) AS points FROM entry WHERE due_month IS NOT NULL GROUP BY profile_id, day, due_month
), month AS (
    SELECT DISTINCT profile_id, due_month FROM gain
    UNION ALL SELECT DISTINCT profile_id, date '0001-01-01' FROM step
), cell AS (
    SELECT profile_id, day, due_month, step.lost,
           coalesce(sum(gain.points) OVER (PARTITION BY profile_id, due_month ORDER BY day), 0) AS held
    FROM step JOIN month USING (profile_id) LEFT JOIN gain USING (profile_id, day, due_month)
), stack AS (
    SELECT cell.*, greatest(0, sum(held) OVER months - lost) AS left_so_far FROM cell
    WINDOW months AS (PARTITION BY profile_id, day ORDER BY due_month)
), level AS (
    SELECT profile_id, day, due_month, left_so_far - coalesce(lag(left_so_far) OVER months, 0) AS points FROM stack
    WINDOW months AS (PARTITION BY profile_id, day ORDER BY due_month)
    UNION ALL
    SELECT profile_id, day, NULL, greatest(0, lost - sum(held)) FROM cell GROUP BY profile_id, day, lost
), change AS (
    SELECT day, due_month, points - coalesce(lag(points) OVER (PARTITION BY profile_id, due_month ORDER BY day), 0) AS points FROM level
)
SELECT day, due_month, sum(points) FROM change WHERE points <> 0 GROUP BY day, due_month
