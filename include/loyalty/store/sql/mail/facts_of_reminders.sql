-- What messages about points soon to expire have to say, as it is now: points spent in between are not warned of.
SELECT email.profile_id, email.key, email.stage, email.address, email.attempts, profile.customer_id, profile.attributes,
       coalesce(account.balance, 0) AS balance, suppression.reason AS suppressed,
       loyalty.consents(profile.attributes, CAST(:consent AS text)) AS consents,
       threatened.points, 'points.expire' AS action, CAST(NULL AS timestamptz) AS occurred_at, threatened.days
FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS uuid[])) AS wanted(profile_id, key)
JOIN loyalty.email ON email.profile_id = wanted.profile_id AND email.key = wanted.key
JOIN loyalty.profile ON profile.profile_id = wanted.profile_id
LEFT JOIN loyalty.account ON account.profile_id = wanted.profile_id
LEFT JOIN loyalty.email_suppression AS suppression ON suppression.address = lower(email.address)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(night.points), 0)::bigint AS points,
           coalesce(jsonb_agg(jsonb_build_object('day', night.due_on, 'points', night.points) ORDER BY night.due_on), '[]') AS days
    FROM (
        SELECT lot.due_on, sum(lot.remaining) AS points
        FROM loyalty.lot
        WHERE lot.profile_id = wanted.profile_id AND lot.remaining > 0 AND lot.due_on IN (
            SELECT reminder.due_on FROM loyalty.reminder
            WHERE reminder.profile_id = wanted.profile_id AND reminder.email_key = wanted.key)
        GROUP BY lot.due_on OFFSET 0) AS night
) AS threatened
ORDER BY email.profile_id, email.key
