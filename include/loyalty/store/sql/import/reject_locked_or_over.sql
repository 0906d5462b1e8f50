-- What a customer may not start while a journey has locked the balance; and the end of a promotion that has ended, ends
-- twice in this file, or cost another number of points.
UPDATE import_event AS e SET reason = told.reason
FROM (
    SELECT asking.row_number, CASE
        WHEN account.lock_expires_at > CAST(:recorded_at AS timestamptz) AND asking.effect IN ('redeem', 'return')
             AND activation.run_id IS DISTINCT FROM account.lock_run_id
        THEN format('the balance of customer %s is locked until %s: import the row again after that', to_json(asking.customer_id),
                    to_char(timezone('UTC', account.lock_expires_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
        WHEN activation.state NOT IN ('active', 'deactivating') OR (activation.state = 'deactivating' AND asking.effect <> 'return')
        THEN format('the promotion %s of customer %s is %s', to_json(activation.promotion), to_json(asking.customer_id), activation.state)
        WHEN asking.refers_to IS NOT NULL AND asking.ending > 1 AND (activation.activation IS NOT NULL OR filed.key IS NOT NULL) THEN 'another row of this file ends the same activation'
        WHEN asking.effect = 'return' AND asking.points <> coalesce(activation.points, -filed.points)
        THEN format('returnedPoints is %s: the promotion cost %s', asking.points, coalesce(activation.points, -filed.points))
        END AS reason
    FROM (
        SELECT *, row_number() OVER (PARTITION BY customer_id, refers_to ORDER BY occurred_at, row_number) AS ending
        FROM import_event WHERE reason IS NULL AND (effect IN ('redeem', 'return') OR action = 'client.redeemPromotion')
    ) AS asking
    JOIN import_profile AS profile USING (customer_id)
    JOIN loyalty.account USING (profile_id)
    LEFT JOIN loyalty.promotion_activation AS activation
        ON activation.profile_id = profile.profile_id AND activation.activation = asking.refers_to
    LEFT JOIN import_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
        AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND filed.params ? 'promotion'
    WHERE NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = asking.row_number)
      AND (activation.activation IS NOT NULL OR filed.key IS NOT NULL OR asking.effect IN ('redeem', 'return'))
) AS told
WHERE told.row_number = e.row_number AND told.reason IS NOT NULL
