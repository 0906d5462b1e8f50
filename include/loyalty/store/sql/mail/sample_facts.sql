-- What a message to a customer would say if all points of the balance were gone, or were to go, tomorrow.
SELECT profile.profile_id, CAST('00000000-0000-0000-0000-000000000000' AS uuid) AS key, CAST(NULL AS integer) AS stage,
       coalesce(profile.attributes ->> CAST(:address AS text), 'nobody@example.org') AS address, 0 AS attempts,
       profile.customer_id, profile.attributes, coalesce(account.balance, 0) AS balance, CAST(NULL AS text) AS suppressed,
       true AS consents, greatest(1, coalesce(account.balance, 0)) AS points, 'points.expire' AS action,
       clock_timestamp() AS occurred_at,
       jsonb_build_array(jsonb_build_object(
           'day', timezone(program.timezone, clock_timestamp())::date + 1, 'points', greatest(1, coalesce(account.balance, 0)))) AS days
FROM loyalty.profile CROSS JOIN loyalty.program LEFT JOIN loyalty.account USING (profile_id)
WHERE profile.profile_id = :profile_id
