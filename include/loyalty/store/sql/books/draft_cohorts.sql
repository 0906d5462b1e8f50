-- Of a slice of the customers: what became, by the end of the day, of the points earned in each month. The losses of a customer lie
-- on the stack of the lots, soonest due first, in the order of time; what of a lot an expiry or a cancellation covers is its own, and
-- all other losses are redeemed, and so is what was taken from lots that begin after that day. What lies outside every lot (debts,
-- returns of what was never earned) is of the month 0001-01-01.
INSERT INTO draft_cohort (earned_month, earned, expired, cancelled, remaining)
WITH entry AS (
    SELECT draft_entry.*, CASE WHEN effect IN ('cancel', 'restore') THEN 'cancel' ELSE effect END AS kind,
           side = 'collected' AND coalesce(opens_on <= CAST(:last AS date), true) AS is_of_lot
    FROM draft_entry
), lot AS (
    SELECT profile_id, lot_key, min(opened_at) AS earned_at, min(due_on) AS due_on, sum(amount) AS points
    FROM entry WHERE is_of_lot GROUP BY profile_id, lot_key
), stack AS (
    SELECT lot.*, sum(points) OVER (PARTITION BY profile_id ORDER BY due_on NULLS LAST, earned_at, lot_key ROWS UNBOUNDED PRECEDING) AS top
    FROM lot
), loss AS (
    SELECT profile_id, kind, amount,
           sum(amount) OVER (PARTITION BY profile_id ORDER BY occurred_at, side <> 'expired', key ROWS UNBOUNDED PRECEDING) AS reach
    FROM (SELECT profile_id, kind, occurred_at, side, key, CASE side WHEN 'collected' THEN -amount ELSE amount END AS amount
          FROM entry WHERE NOT is_of_lot) AS taken
), lost AS (
    SELECT profile_id, sum(amount) AS points FROM loss GROUP BY profile_id
), covered AS (
    SELECT profile_id, lot_key, kind,
           sum(sign(amount) * greatest(0, least(top, greatest(reach, reach - amount)) - greatest(top - points, least(reach, reach - amount)))) AS points
    FROM stack JOIN loss USING (profile_id) WHERE kind IN ('expire', 'cancel') GROUP BY profile_id, lot_key, kind
), fate AS (
    SELECT stack.earned_at, stack.points, coalesce(expired.points, 0) AS expired, coalesce(cancelled.points, 0) AS cancelled,
           greatest(0, least(stack.points, stack.top - coalesce(lost.points, 0))) AS remaining
    FROM stack LEFT JOIN lost USING (profile_id)
    LEFT JOIN covered AS expired ON (expired.profile_id, expired.lot_key, expired.kind) = (stack.profile_id, stack.lot_key, 'expire')
    LEFT JOIN covered AS cancelled ON (cancelled.profile_id, cancelled.lot_key, cancelled.kind) = (stack.profile_id, stack.lot_key, 'cancel')
)
SELECT date_trunc('month', loyalty.book_day(earned_at, program.timezone))::date, sum(points), sum(expired), sum(cancelled), sum(remaining)
FROM fate CROSS JOIN loyalty.program GROUP BY 1
UNION ALL
SELECT date '0001-01-01', 0,
       coalesce((SELECT sum(amount) FROM loss WHERE kind = 'expire'), 0) - coalesce(sum(expired), 0),
       coalesce((SELECT sum(amount) FROM loss WHERE kind = 'cancel'), 0) - coalesce(sum(cancelled), 0),
       coalesce(sum(points), 0) - coalesce((SELECT sum(amount) FROM loss), 0) - coalesce(sum(remaining), 0)
FROM fate
