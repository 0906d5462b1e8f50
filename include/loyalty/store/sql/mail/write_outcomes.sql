-- What became of this sender's messages; also of those that somebody has taken for unsettled meanwhile. That one was sent
-- is an event of the customer.
WITH kept AS (
    UPDATE loyalty.email
    SET state = outcome.state, reason = outcome.reason, detail = outcome.detail,
        attempts = email.attempts + outcome.answered,
        not_before = clock_timestamp() + make_interval(secs => outcome.delay),
        ended_at = CASE WHEN outcome.state <> 'queued' THEN clock_timestamp() END
    FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
                CAST(:details AS text[]), CAST(:answered AS integer[]), CAST(:delays AS double precision[]))
        AS outcome(profile_id, key, state, reason, detail, answered, delay)
    WHERE email.profile_id = outcome.profile_id AND email.key = outcome.key AND email.sender_id = :sender
      AND (email.state = 'sending' OR (email.state IN ('failed', 'queued') AND email.reason = 'unsettled'))
    RETURNING email.profile_id, email.key, email.campaign, email.run_id, email.stage, email.state, email.ended_at
)
INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, run_id, source)
SELECT profile_id, md5('sent:' || key)::uuid, 'email.sent', ended_at,
       jsonb_build_object('campaign', campaign, 'message', key) || jsonb_strip_nulls(jsonb_build_object('stage', stage)),
       run_id, 'mail'
FROM kept
WHERE state = 'sent'
ORDER BY profile_id
ON CONFLICT (profile_id, key) DO NOTHING
