-- What messages about points taken have to say, from the very events that took them; one row a message.
SELECT email.profile_id, email.key, email.stage, email.address, email.attempts, profile.customer_id, profile.attributes,
       coalesce(account.balance, 0) AS balance, suppression.reason AS suppressed,
       loyalty.consents(profile.attributes, CAST(:consent AS text)) AS consents,
       took.points, took.action, took.occurred_at, took.days
FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS uuid[])) AS wanted(profile_id, key)
JOIN loyalty.email ON email.profile_id = wanted.profile_id AND email.key = wanted.key
JOIN loyalty.profile ON profile.profile_id = wanted.profile_id
LEFT JOIN loyalty.account ON account.profile_id = wanted.profile_id
LEFT JOIN loyalty.email_suppression AS suppression ON suppression.address = lower(email.address)
CROSS JOIN LATERAL (
    SELECT coalesce(-sum(night.points), 0)::bigint AS points, min(night.action) AS action, max(night.occurred_at) AS occurred_at,
           coalesce(jsonb_agg(jsonb_build_object('day', night.day, 'points', -night.points) ORDER BY night.day), '[]') AS days
    FROM (
        SELECT timezone(program.timezone, event.occurred_at)::date AS day, min(event.action) AS action,
               max(event.occurred_at) AS occurred_at, sum(event.points) AS points
        FROM loyalty.event CROSS JOIN loyalty.program
        WHERE event.profile_id = wanted.profile_id AND event.run_id = email.run_id
          AND event.action IN ('points.cancel', 'points.expire', 'points.restore')
          AND NOT EXISTS (  -- given back by an undo meanwhile
              SELECT FROM loyalty.event AS undo
              WHERE event.action = 'points.cancel' AND undo.profile_id = event.profile_id
                AND undo.key = loyalty.restore_key(event.key))
        GROUP BY 1 HAVING sum(event.points) <> 0
        OFFSET 0) AS night
) AS took
ORDER BY email.profile_id, email.key
