-- How many refunds that the earning rules have not seen tell an amount that is no number.
SELECT count(*)
FROM batch JOIN loyalty.account USING (profile_id)
JOIN loyalty.event AS e ON e.profile_id = account.profile_id AND e.occurred_at >= account.award_from
WHERE e.action = 'transaction.refund' AND e.params ? '$totalAmount' AND loyalty.number_of(e.params -> '$totalAmount') IS NULL
