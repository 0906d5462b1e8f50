-- The deactivations of this database; what follows from them is loyalty.follow_promotions.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, run_id, source)
SELECT activation.profile_id, md5('deactivated:' || activation.activation)::uuid, 'client.deactivatePromotion', clock_timestamp(),
       activation.points, jsonb_build_object('promotion', activation.promotion, 'returnedPoints', activation.points),
       activation.activation, :run_id, 'batch_cancellation'
FROM batch JOIN loyalty.promotion_activation AS activation USING (profile_id)
WHERE activation.state = 'deactivating' AND activation.run_id = :run_id
ORDER BY activation.profile_id, activation.activation
