-- Every row as an event, or with the reason why it is none. OFFSET 0 keeps what is computed once from being computed
-- again wherever it is named. What a key is made of says itself where each part ends: the lengths come first, and no
-- JSON holds the separator. It depends on no setting of the session, or a second import would make other keys.
INSERT INTO import_event (row_number, customer_id, action, effect, occurred_at, points, params, source, event_id, key, refers_to, reason)
SELECT row_number, customer_id, action, effect, occurred_at, points, params, source, event_id,
       CASE WHEN event_id IS NULL
            THEN md5(concat_ws(chr(31), octet_length(customer_id), octet_length(action), customer_id, action,
                               extract(epoch FROM occurred_at), source, params::text))::uuid
            ELSE md5('id:' || event_id)::uuid END,
       md5('id:' || refers_to_id)::uuid,
       CASE
           WHEN fault IS NOT NULL THEN fault
           WHEN customer_id IS NULL THEN 'customer_id is missing: each event is about a customer'
           WHEN customer_id ~ '^\s|\s$' THEN format('customer_id %s begins or ends with a space: write it without', to_json(customer_id))
           WHEN octet_length(customer_id) > 1000 THEN 'customer_id is longer than 1000 bytes'
           WHEN action IS NULL THEN 'action is missing: each event says what happened, like transaction.charge'
           WHEN action ~ '^\s|\s$' THEN format('action %s begins or ends with a space: write it without', to_json(action))
           WHEN occurred_at IS NULL THEN 'occurred_at is missing: each event says when, like 2024-05-31T13:45:00+02:00'
           WHEN occurred_at > :latest THEN format('occurred_at %s is in the future: an event has happened when it is told',
               to_char(timezone('UTC', occurred_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
           WHEN effect IN ('expire', 'cancel', 'restore') THEN format('%s is written by journeys only: a correction is a points.adjust', action)
           WHEN source = ANY (CAST(:journeys AS text[])) THEN format('source %s is the name of a journey, which writes its events itself', to_json(source))
           WHEN effect <> 'none' AND points IS NULL THEN format('%s%s of customer %s: %s', action,
               ' ' || to_json(event_id), to_json(customer_id), CASE
                   WHEN NOT params ? parameter THEN format('the parameter %s is missing: it holds the amount of points', parameter)
                   WHEN loyalty.points_of(params -> parameter) < 0
                   THEN format('%s is %s: only points.adjust takes an amount below zero', parameter, left((params -> parameter)::text, 100))
                   ELSE format('%s is %s: a whole number of points within 2^53 is needed, like 52', parameter, left((params -> parameter)::text, 100))
               END)
           WHEN effect = 'reverse' AND refers_to_id IS NULL
           THEN format('%s without the parameter reverses: it holds the event_id of the earning that is taken back', action)
           WHEN effect = 'adjust' AND expires_on IS NOT NULL AND NOT CASE
               WHEN expires_on ~ '^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'
               THEN right(expires_on, 2)::int <= extract(day FROM (left(expires_on, 7) || '-01')::date + interval '1 month -1 day')
               ELSE false END
           THEN format('expires_on %s is no date: write it like 2024-05-31', to_json(expires_on))
       END
FROM (
    SELECT read.*, action.effect, action.parameter,
           CASE WHEN action.effect <> 'none'
                THEN loyalty.balance_effect(action.effect, loyalty.points_of(read.params -> action.parameter)) END AS points,
           CASE WHEN action.effect = 'reverse' THEN nullif(read.params ->> 'reverses', '')
                WHEN action.effect = 'adjust' THEN nullif(read.params ->> 'corrects', '')
                WHEN action.effect = 'return' OR read.action = 'client.redeemPromotion'
                THEN nullif(read.params ->> 'activation', '') END AS refers_to_id,
           CASE action.effect WHEN 'adjust' THEN read.params ->> 'expires_on' END AS expires_on
    FROM (
        SELECT r.row_number, r.fault, nullif(r.customer_id, '') AS customer_id, nullif(r.action, '') AS action,
               coalesce(timezone('UTC', r.utc_time), loyalty.local_instant(r.local_time, program.timezone)) AS occurred_at,
               nullif(r.event_id, '') AS event_id, coalesce(r.source, '') AS source,
               CASE
                   WHEN NOT CAST(:whole_objects AS boolean) THEN r.params
                   WHEN CAST(:renamed AS jsonb) = '{}' AND NOT jsonb_path_exists(r.params, 'strict $.* ? (@ == null)')
                   THEN r.params - CAST(:taken AS text[]) || CAST(:fixed AS jsonb)
                   -- Names go over into other names, and a null is no parameter.
                   ELSE (
                       SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') FROM (
                           SELECT o.key, o.value FROM jsonb_each(r.params - CAST(:taken AS text[]) || CAST(:fixed AS jsonb)) AS o
                           UNION ALL
                           SELECT n.key, r.params -> n.value FROM jsonb_each_text(CAST(:renamed AS jsonb)) AS n
                       ) AS m WHERE jsonb_typeof(m.value) <> 'null')
               END AS params
        FROM import_row AS r CROSS JOIN loyalty.program
        OFFSET 0
    ) AS read LEFT JOIN loyalty.action ON action.action = read.action
    OFFSET 0
) AS told
