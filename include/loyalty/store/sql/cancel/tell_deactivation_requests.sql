-- An outside engine is asked by events, too, each once.
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, refers_to, run_id, source)
SELECT activation.profile_id, md5('deactivationRequested:' || activation.run_id || ':' || activation.activation)::uuid,
       'client.deactivatePromotionRequested', clock_timestamp(),
       jsonb_build_object('run', activation.run_id, 'token', loyalty.lock_token(activation.run_id, activation.profile_id),
                          'activation', activation.activation, 'promotion', activation.promotion, 'returnedPoints', activation.points),
       activation.activation, activation.run_id, 'batch_cancellation'
FROM batch JOIN loyalty.promotion_activation AS activation USING (profile_id)
WHERE activation.state = 'deactivating' AND activation.run_id = :run_id
ORDER BY activation.profile_id, activation.activation
ON CONFLICT (profile_id, key) DO NOTHING
