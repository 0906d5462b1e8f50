-- Of a slice of the customers, from their entries, lot by lot: by how much the points due in each month (null: the debts) change on each day from the
-- first to the last; what was before is of the first. All losses are charged to the points that are due soonest, as in loyalty.lot:
-- what a month still holds is what is left of it and all months before, less what was left of those. It reads no counter.
-- What is taken from a lot before there is one is a loss like any other until then.
INSERT INTO draft_ageing (day, due_month, points)
WITH told AS (
    SELECT profile_id, day, opens_on, amount,
           CASE WHEN side = 'collected' THEN coalesce(date_trunc('month', due_on)::date, date '9999-12-01') END AS due_month
    FROM draft_entry
), part AS (
    SELECT profile_id, day, amount, due_month FROM told WHERE opens_on IS NULL
    UNION ALL SELECT profile_id, day, -amount, NULL FROM told WHERE opens_on IS NOT NULL
    UNION ALL SELECT profile_id, opens_on, amount, NULL FROM told WHERE opens_on <= CAST(:last AS date)
    UNION ALL SELECT profile_id, opens_on, amount, due_month FROM told WHERE opens_on <= CAST(:last AS date)
), entry AS (
    SELECT profile_id, greatest(day, CAST(:first AS date)) AS day, amount, due_month FROM part
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
