-- What each refund of the batch's profiles has to reverse and has not yet. An order's refunds are charged to its charges
-- (what an earning rule reads, with an amount) in the order in which both were recorded, so that what arrives later changes
-- nothing that was reversed before; a refund without an amount is one of the whole order.
INSERT INTO reversal (profile_id, key, award_key, rule, occurred_at, points, place)
WITH named AS (
    SELECT e.profile_id, e.key, e.action, e.occurred_at, e.recorded_at, e.params ->> '$orderID' AS order_id,
           e.params ? '$totalAmount' AS has_amount, loyalty.number_of(e.params -> '$totalAmount') AS amount
    FROM batch JOIN loyalty.event AS e USING (profile_id) JOIN loyalty.action ON action.action = e.action AND action.feeds_rules
    WHERE e.params ? '$orderID'
), charge AS (
    SELECT n.*, sum(n.amount) OVER (PARTITION BY n.profile_id, n.order_id) AS whole,
           sum(n.amount) OVER (
               PARTITION BY n.profile_id, n.order_id ORDER BY n.recorded_at, n.occurred_at, n.key) - n.amount AS before
    FROM named AS n WHERE n.action <> 'transaction.refund' AND n.amount > 0
), total AS (
    SELECT DISTINCT profile_id, order_id, whole FROM charge
), refund AS (
    SELECT n.profile_id, n.order_id, n.key, n.occurred_at, n.recorded_at, size.amount,
           sum(size.amount) OVER (
               PARTITION BY n.profile_id, n.order_id ORDER BY n.recorded_at, n.occurred_at, n.key) AS refunded
    FROM named AS n JOIN total USING (profile_id, order_id)
    CROSS JOIN LATERAL (SELECT CASE WHEN n.has_amount THEN abs(n.amount) ELSE total.whole END) AS size(amount)
    WHERE n.action = 'transaction.refund' AND size.amount IS NOT NULL
), share AS (
    SELECT refund.profile_id, refund.key AS refund_key, refund.occurred_at, refund.recorded_at, charge.key AS charge_key, charge.amount,
           greatest(0, charge.amount - greatest(0, refund.refunded - refund.amount - charge.before)) AS kept_before,
           greatest(0, charge.amount - greatest(0, refund.refunded - charge.before)) AS kept
    FROM refund JOIN charge USING (profile_id, order_id)
), wanted AS (
    SELECT share.profile_id, md5('reverse:' || share.refund_key || ':' || award.key)::uuid AS key, award.key AS award_key,
           award.params ->> 'rule' AS rule, greatest(share.occurred_at, award.occurred_at) AS occurred_at, share.recorded_at,
           loyalty.points_kept(award.params, share.kept_before, share.amount)
               - loyalty.points_kept(award.params, share.kept, share.amount) AS points
    FROM share
    JOIN loyalty.event AS award ON award.profile_id = share.profile_id AND award.refers_to = share.charge_key
    JOIN loyalty.action ON action.action = award.action AND action.effect = 'earn'
)
SELECT wanted.profile_id, wanted.key, wanted.award_key, wanted.rule, wanted.occurred_at, wanted.points,
       row_number() OVER (PARTITION BY wanted.profile_id ORDER BY wanted.occurred_at, wanted.recorded_at, wanted.key)
FROM wanted
WHERE wanted.points > 0 AND NOT EXISTS (
    SELECT FROM loyalty.event AS e WHERE e.profile_id = wanted.profile_id AND e.key = wanted.key)
