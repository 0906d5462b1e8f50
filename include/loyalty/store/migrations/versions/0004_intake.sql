-- Intake: what a file, a request or another database tells becomes events, each once, or is rejected for a reason.

-- Whom no old event brings back -------------------------------------------------------------------------------------------

ALTER TABLE loyalty.program ADD COLUMN pepper bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
COMMENT ON COLUMN loyalty.program.pepper IS 'Random, of this database alone: what digests of customer ids are made with.';

CREATE TABLE loyalty.forgotten_customer (
    profile_id bigint PRIMARY KEY,
    digest bytea NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE loyalty.forgotten_customer IS 'Whose identity was removed on demand; their points stay in the books.';
COMMENT ON COLUMN loyalty.forgotten_customer.profile_id IS 'The profile, which has no name any more.';
COMMENT ON COLUMN loyalty.forgotten_customer.digest IS 'Of the customer id: whoever knows the id, and this database, can see that it was forgotten.';
COMMENT ON COLUMN loyalty.forgotten_customer.forgotten_at IS 'When.';
CREATE INDEX forgotten_customer_digest ON loyalty.forgotten_customer (digest);

CREATE FUNCTION loyalty.customer_digest(customer text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT sha256(program.pepper || convert_to(customer, 'UTF8')) FROM loyalty.program);
COMMENT ON FUNCTION loyalty.customer_digest IS 'What is kept of the id of a customer who is forgotten.';

-- Rows to events ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.open_intake() RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    -- The rows of the file as they were read.
    CREATE TEMP TABLE IF NOT EXISTS intake_row (
        row_number bigint NOT NULL,
        fault text,
        customer_id text,
        action text,
        utc_time timestamp,
        local_time timestamp,
        event_id text,
        source text,
        params jsonb
    ) ON COMMIT DELETE ROWS;
    -- The same as events; those with a reason are not stored.
    CREATE TEMP TABLE IF NOT EXISTS intake_event (
        row_number bigint NOT NULL,
        customer_id text,
        action text,
        effect text,
        occurred_at timestamptz,
        points bigint,
        params jsonb,
        source text,
        event_id text,
        key uuid,
        refers_to uuid,
        reason text,
        code text,
        detail jsonb
    ) ON COMMIT DELETE ROWS;
    -- Rows whose event an earlier row of the file has, too: the nth.
    CREATE TEMP TABLE IF NOT EXISTS intake_twin (row_number bigint NOT NULL, first_row bigint NOT NULL, n bigint NOT NULL) ON COMMIT DELETE ROWS;
    -- Whom the file is about; who is new was made by it, and nobody else has seen the account.
    CREATE TEMP TABLE IF NOT EXISTS intake_profile (customer_id text NOT NULL, profile_id bigint NOT NULL, is_new boolean NOT NULL) ON COMMIT DELETE ROWS;
    -- Rows whose event needs no storing: the ledger has it, or an earlier row of the file brings it.
    CREATE TEMP TABLE IF NOT EXISTS intake_there (row_number bigint NOT NULL) ON COMMIT DELETE ROWS;
    -- Whoever made them first, in this session, could have hung triggers on them.
    IF EXISTS (
        SELECT FROM pg_class WHERE oid IN ('pg_temp.intake_row'::regclass, 'pg_temp.intake_event'::regclass, 'pg_temp.intake_twin'::regclass,
            'pg_temp.intake_profile'::regclass, 'pg_temp.intake_there'::regclass) AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)) THEN
        RAISE EXCEPTION 'the tables of the intake belong to somebody else' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- What an earlier intake of the same transaction left.
    IF EXISTS (SELECT FROM intake_row) THEN
        TRUNCATE intake_row, intake_event, intake_twin, intake_profile, intake_there;
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.open_intake IS
    'The temporary tables of an intake are there and empty; the transaction''s end empties them.';

CREATE FUNCTION loyalty.read_intake(
    now timestamptz, whole_objects boolean DEFAULT false, taken text[] DEFAULT '{}', renamed jsonb DEFAULT '{}', fixed jsonb DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Every row as an event, or with the reason why it is none. OFFSET 0 keeps what is computed once from being computed
    -- again wherever it is named. What a key is made of says itself where each part ends: the lengths come first, and no
    -- JSON holds the separator. It depends on no setting of the session, or a second import would make other keys.
    INSERT INTO intake_event (row_number, customer_id, action, effect, occurred_at, points, params, source, event_id, key, refers_to, reason)
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
               WHEN occurred_at > now + interval '5 minutes' THEN format('occurred_at %s is in the future: an event has happened when it is told',
                   to_char(timezone('UTC', occurred_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
               WHEN effect IN ('expire', 'cancel', 'restore') THEN format('%s is written by journeys only: a correction is a points.adjust', action)
               WHEN source IN ('rolling_expiry', 'batch_cancellation', 'undo_journey') THEN format('source %s is the name of a journey, which writes its events itself', to_json(source))
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
               WHEN effect = 'adjust' AND points > 0 AND loyalty.midnight(expires_on::date, timezone) <= occurred_at
               THEN format('expires_on %s is not after the day on which the points are given: points cannot expire before there are any', to_json(expires_on))
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
            SELECT r.row_number, r.fault, program.timezone, nullif(r.customer_id, '') AS customer_id, nullif(r.action, '') AS action,
                   coalesce(timezone('UTC', r.utc_time), loyalty.local_instant(r.local_time, program.timezone)) AS occurred_at,
                   nullif(r.event_id, '') AS event_id, coalesce(r.source, '') AS source,
                   CASE
                       WHEN NOT whole_objects THEN r.params
                       WHEN renamed = '{}' AND NOT jsonb_path_exists(r.params, 'strict $.* ? (@ == null)')
                       THEN r.params - taken || fixed
                       -- Names go over into other names, and a null is no parameter.
                       ELSE (
                           SELECT coalesce(jsonb_object_agg(m.key, m.value), '{}') FROM (
                               SELECT o.key, o.value FROM jsonb_each(r.params - taken || fixed) AS o
                               UNION ALL
                               SELECT n.key, r.params -> n.value FROM jsonb_each_text(renamed) AS n
                           ) AS m WHERE jsonb_typeof(m.value) <> 'null')
                   END AS params
            FROM intake_row AS r CROSS JOIN loyalty.program
            OFFSET 0
        ) AS read LEFT JOIN loyalty.action ON action.action = read.action
        OFFSET 0
    ) AS told;
    -- No autovacuum sees a temporary table: without this the planner guesses. For a few rows its guess will do. What nothing is
    -- joined or grouped by need not be known.
    IF EXISTS (SELECT FROM intake_event OFFSET 2000) THEN
        ANALYZE intake_event (row_number, customer_id, action, effect, points, key, refers_to, reason);
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.read_intake IS
    'Every row of intake_row is one of intake_event: with a key, or with the reason, lying in the row alone, why it is no event (a time '
    'more than five minutes from now has not come: that much clocks may differ). '
    'Of whole objects the members taken are no parameters, others are renamed, and some are fixed for all rows.';

CREATE FUNCTION loyalty.event_body(action text, occurred_at timestamptz, params jsonb, source text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object('action', action, 'occurred_at', occurred_at, 'params', params, 'source', source);
COMMENT ON FUNCTION loyalty.event_body IS 'What two tellings of one event must agree on.';

CREATE FUNCTION loyalty.follow_rejections() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    twins bigint;
    dangling bigint;
BEGIN
    LOOP
        -- Whose first row was refused is not there either.
        UPDATE intake_event AS e
        SET reason = format('the same event as row %s, which was rejected: %s', first.row_number, first.reason), code = first.code, detail = first.detail
        FROM intake_twin AS twin JOIN intake_event AS first ON first.row_number = twin.first_row
        WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL AND e.reason IS NULL AND first.reason IS NOT NULL;
        GET DIAGNOSTICS twins = ROW_COUNT;
        -- Reversals, corrections and ends of events that are neither in the ledger nor accepted from this file, or not of a kind that
        -- can be reversed or corrected. The ledger's word comes before the file's.
        UPDATE intake_event AS e SET reason = format('%s%s of customer %s: %s %s %s', e.action, ' ' || to_json(e.event_id), to_json(e.customer_id),
            told.parameter, to_json(e.params ->> told.parameter), CASE
                WHEN told.target IS NULL THEN 'is the event_id of no event of this customer, neither in the ledger nor accepted from this file'
                WHEN e.effect = 'reverse' THEN format('is a %s: only points earned can be reversed', told.target)
                WHEN told.parameter = 'activation' THEN format('is a %s: only an activation can be redeemed or deactivated', told.target)
                WHEN told.kind = 'adjust' AND told.instead IS NOT NULL THEN format('is itself a correction, of %s: correct that event', to_json(told.instead))
                WHEN told.kind = 'reverse' THEN format('is a reversal of %s: correct that earning', to_json(told.instead))
                WHEN told.moves_expiry THEN 'is an expiry, which the next run corrects by itself: correct what it came from'
                ELSE format('is a %s, and its correction has no date of its own: leave expires_on out', told.target)
            END)
        FROM (
            SELECT asking.row_number, CASE asking.effect WHEN 'reverse' THEN 'reverses' WHEN 'adjust' THEN 'corrects' ELSE 'activation' END AS parameter,
                   coalesce(known.action, filed.action) AS target, kind.effect AS kind,
                   CASE WHEN coalesce(known.refers_to, filed.refers_to) IS NOT NULL THEN coalesce(coalesce(known.params, filed.params)
                       ->> CASE kind.effect WHEN 'adjust' THEN 'corrects' ELSE 'reverses' END, known.refers_to::text) END AS instead,
                   kind.effect = 'expire' OR (kind.effect = 'restore' AND known.params ? 'midnight') AS moves_expiry,
                   asking.effect = 'adjust' AND asking.params ? 'expires_on' AND kind.effect <> 'none' AS has_own_date
            FROM intake_event AS asking
            LEFT JOIN intake_profile AS profile USING (customer_id)
            LEFT JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = asking.refers_to
            LEFT JOIN intake_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
                AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND profile.profile_id IS NOT NULL
            LEFT JOIN loyalty.action AS kind ON kind.action = coalesce(known.action, filed.action)
            WHERE asking.reason IS NULL AND asking.refers_to IS NOT NULL
              AND NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = asking.row_number)
        ) AS told
        WHERE told.row_number = e.row_number
          AND (told.target IS NULL
            OR (e.effect = 'reverse' AND told.kind IS DISTINCT FROM 'earn')
            OR (told.parameter = 'activation' AND told.kind IS DISTINCT FROM 'redeem')
            OR told.kind = 'reverse' OR told.moves_expiry OR told.has_own_date
            OR (told.kind = 'adjust' AND told.instead IS NOT NULL));
        GET DIAGNOSTICS dangling = ROW_COUNT;
        EXIT WHEN twins + dangling = 0;
    END LOOP;
END $$;
COMMENT ON FUNCTION loyalty.follow_rejections IS 'No row that is left refers to a rejected one, or is the same event.';

CREATE FUNCTION loyalty.mark_twins() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Sorted by the key first: it nearly always decides, and faster than a text.
    INSERT INTO intake_twin (row_number, first_row, n)
    SELECT row_number, first_row, n
    FROM (
        SELECT row_number, first_value(row_number) OVER same AS first_row, row_number() OVER same AS n
        FROM intake_event WHERE reason IS NULL
        WINDOW same AS (PARTITION BY key, customer_id ORDER BY row_number)
    ) AS numbered
    WHERE n > 1;
    IF FOUND THEN
        -- Alike, but without a name: each is an event of its own, the nth of its kind in this file.
        UPDATE intake_event AS e SET key = md5(e.key::text || twin.n)::uuid
        FROM intake_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NULL;
        -- The same event_id with another body: the first row has it.
        UPDATE intake_event AS e
        SET reason = format('event_id %s is in row %s with another body: here %s, there %s', to_json(e.event_id), told.first_row, told.here, told.there),
            code = 'conflict', detail = jsonb_build_object('here', told.here, 'there', told.there)
        FROM (
            SELECT twin.row_number, twin.first_row, loyalty.event_body(late.action, late.occurred_at, late.params, late.source) AS here,
                   loyalty.event_body(first.action, first.occurred_at, first.params, first.source) AS there
            FROM intake_twin AS twin JOIN intake_event AS first ON first.row_number = twin.first_row
            JOIN intake_event AS late ON late.row_number = twin.row_number
            WHERE late.event_id IS NOT NULL
              AND (late.action, late.occurred_at, late.params, late.source) IS DISTINCT FROM (first.action, first.occurred_at, first.params, first.source)
        ) AS told
        WHERE told.row_number = e.row_number;
        INSERT INTO intake_there (row_number)
        SELECT e.row_number FROM intake_event AS e JOIN intake_twin AS twin USING (row_number)
        WHERE e.event_id IS NOT NULL AND e.reason IS NULL;
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.mark_twins IS
    'Rows that tell of one event by the same name are one, or rejected where their bodies differ; rows alike without a name are several.';

CREATE FUNCTION loyalty.reject_forgotten() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM loyalty.forgotten_customer) THEN
        UPDATE intake_event AS e SET code = 'conflict',
            reason = format('customer_id %s was forgotten: what happened before that is not taken again', to_json(e.customer_id))
        FROM (SELECT DISTINCT customer_id FROM intake_event WHERE reason IS NULL) AS named
        JOIN loyalty.forgotten_customer AS known ON known.digest = loyalty.customer_digest(named.customer_id)
        WHERE e.customer_id = named.customer_id AND e.reason IS NULL AND e.occurred_at < known.forgotten_at;
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.reject_forgotten IS
    'Nothing comes back of a customer who was forgotten.';

CREATE FUNCTION loyalty.hold_accounts() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- In ascending order, so that two imports meet without a deadlock. A customer of whom the file tells nothing that could
    -- be stored for a new one (only losses, only references) is not made.
    WITH made AS (
        INSERT INTO loyalty.profile (customer_id)
        SELECT named.customer_id
        FROM (
            SELECT e.customer_id FROM intake_event AS e CROSS JOIN loyalty.program WHERE e.reason IS NULL GROUP BY e.customer_id
            HAVING bool_or(e.refers_to IS NULL) AND bool_or(e.points IS NULL OR e.points >= 0 OR program.allow_debt)
        ) AS named
        WHERE NOT EXISTS (SELECT FROM loyalty.profile WHERE profile.customer_id = named.customer_id)
        ORDER BY named.customer_id
        ON CONFLICT (customer_id) DO NOTHING
        RETURNING customer_id, profile_id
    )
    INSERT INTO intake_profile (customer_id, profile_id, is_new) SELECT customer_id, profile_id, true FROM made;
    INSERT INTO intake_profile (customer_id, profile_id, is_new)
    SELECT profile.customer_id, profile.profile_id, false
    FROM loyalty.profile
    WHERE profile.customer_id IN (SELECT customer_id FROM intake_event WHERE reason IS NULL)
      AND NOT EXISTS (SELECT FROM intake_profile AS made WHERE made.profile_id = profile.profile_id)
    ORDER BY profile.profile_id;
    -- Not how many are new: of a few who are not the planner would think that there is none.
    IF EXISTS (SELECT FROM intake_event OFFSET 2000) THEN
        ANALYZE intake_profile (customer_id, profile_id);
    END IF;
    -- Lock order of the whole system: accounts, ascending. Events are decided upon and inserted only after it.
    PERFORM FROM (
        SELECT account.profile_id FROM loyalty.account JOIN intake_profile USING (profile_id) WHERE NOT is_new
        ORDER BY account.profile_id FOR NO KEY UPDATE OF account
    ) AS locked;
    -- Somebody may have been forgotten while we waited for the account.
    UPDATE intake_event AS e SET code = 'conflict', reason = format('customer_id %s was forgotten just now', to_json(e.customer_id))
    FROM intake_profile AS known JOIN loyalty.profile USING (profile_id)
    WHERE NOT known.is_new AND profile.customer_id <> known.customer_id AND e.customer_id = known.customer_id AND e.reason IS NULL;
END $$;
COMMENT ON FUNCTION loyalty.hold_accounts IS
    'Everybody whom the rows are about has a profile, and the account is ours until the transaction ends.';

CREATE FUNCTION loyalty.find_named() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- An event may be named by its key, too, where nothing has that for its event_id.
    UPDATE intake_event AS e SET refers_to = known.key
    FROM (
        SELECT asking.row_number, asking.customer_id,
               CASE WHEN asking.name ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN asking.name::uuid END AS key
        FROM (
            SELECT row_number, customer_id, CASE effect
                WHEN 'reverse' THEN params ->> 'reverses' WHEN 'adjust' THEN params ->> 'corrects' ELSE params ->> 'activation' END AS name
            FROM intake_event WHERE reason IS NULL AND refers_to IS NOT NULL
        ) AS asking
        OFFSET 0
    ) AS named
    JOIN intake_profile AS profile USING (customer_id)
    JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = named.key
    WHERE named.row_number = e.row_number AND NOT EXISTS (
        SELECT FROM loyalty.event AS called WHERE called.profile_id = profile.profile_id AND called.key = e.refers_to);
END $$;
COMMENT ON FUNCTION loyalty.find_named IS
    'Rows that name another event by its key refer to it.';

CREATE FUNCTION loyalty.find_known() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- By the primary key of the ledger, (profile_id, key). Of who is new it has nothing.
    INSERT INTO intake_there (row_number)
    SELECT e.row_number
    FROM intake_event AS e
    JOIN intake_profile AS profile ON profile.customer_id = e.customer_id AND NOT profile.is_new
    JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = e.key
    WHERE e.reason IS NULL
      AND NOT EXISTS (SELECT FROM intake_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL);
    -- Also where there are none: else many are expected.
    IF EXISTS (SELECT FROM intake_event OFFSET 2000) THEN
        ANALYZE intake_there;
    END IF;
    -- The same event_id with another body than in the ledger, which stays as it is. A twin goes the way of its first row.
    UPDATE intake_event AS e
    SET reason = format('event_id %s is known with another body: here %s, in the ledger %s', to_json(e.event_id), told.here, told.there),
        code = 'conflict', detail = jsonb_build_object('here', told.here, 'there', told.there)
    FROM (
        SELECT late.row_number, loyalty.event_body(late.action, late.occurred_at, late.params, late.source) AS here,
               loyalty.event_body(known.action, known.occurred_at, known.params, known.source) AS there
        FROM intake_there JOIN intake_event AS late USING (row_number) JOIN intake_profile AS profile USING (customer_id)
        JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = late.key
        WHERE late.event_id IS NOT NULL AND late.reason IS NULL
          AND (late.action, late.occurred_at, late.params, late.source) IS DISTINCT FROM (known.action, known.occurred_at, known.params, known.source)
    ) AS told
    WHERE told.row_number = e.row_number;
END $$;
COMMENT ON FUNCTION loyalty.find_known IS
    'Rows whose event the ledger has are there, or rejected where it has another body.';

CREATE FUNCTION loyalty.reject_locked_or_over(recorded timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- What a customer may not start while a journey has locked the balance; and the end of a promotion that has ended, ends
    -- twice in this file, or cost another number of points.
    UPDATE intake_event AS e
    SET reason = told.reason, code = CASE WHEN told.locked_until IS NULL THEN 'conflict' ELSE 'locked' END,
        detail = jsonb_build_object('until', told.locked_until)
    FROM (
        SELECT asking.row_number, lock.locked_until, CASE
            WHEN lock.locked_until IS NOT NULL
            THEN format('the balance of customer %s is locked until %s: tell it again after that', to_json(asking.customer_id),
                        to_char(timezone('UTC', lock.locked_until), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
            WHEN activation.state NOT IN ('active', 'deactivating') OR (activation.state = 'deactivating' AND asking.effect <> 'return')
            THEN format('the promotion %s of customer %s is %s', to_json(activation.promotion), to_json(asking.customer_id), activation.state)
            WHEN asking.refers_to IS NOT NULL AND asking.ending > 1 AND (activation.activation IS NOT NULL OR filed.key IS NOT NULL) THEN 'another row ends the same activation, too'
            WHEN asking.effect = 'return' AND asking.points <> coalesce(activation.points, -filed.points)
            THEN format('returnedPoints is %s: the promotion cost %s', asking.points, coalesce(activation.points, -filed.points))
            END AS reason
        FROM (
            SELECT *, row_number() OVER (PARTITION BY customer_id, refers_to ORDER BY occurred_at, row_number) AS ending
            FROM intake_event WHERE reason IS NULL AND (effect IN ('redeem', 'return') OR action = 'client.redeemPromotion')
        ) AS asking
        JOIN intake_profile AS profile USING (customer_id)
        JOIN loyalty.account USING (profile_id)
        LEFT JOIN loyalty.promotion_activation AS activation
            ON activation.profile_id = profile.profile_id AND activation.activation = asking.refers_to
        LEFT JOIN intake_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
            AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND filed.params ? 'promotion'
        CROSS JOIN LATERAL (
            SELECT CASE WHEN account.lock_expires_at > recorded AND asking.effect IN ('redeem', 'return')
                             AND activation.run_id IS DISTINCT FROM account.lock_run_id THEN account.lock_expires_at END AS locked_until
        ) AS lock
        WHERE NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = asking.row_number)
          AND (activation.activation IS NOT NULL OR filed.key IS NOT NULL OR asking.effect IN ('redeem', 'return'))
    ) AS told
    WHERE told.row_number = e.row_number AND told.reason IS NOT NULL;
END $$;
COMMENT ON FUNCTION loyalty.reject_locked_or_over IS
    'No row spends from a locked balance, or ends a promotion that has ended, twice, or for another price.';

CREATE FUNCTION loyalty.reject_what_does_not_fit() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_any bigint;
    found_more bigint;
BEGIN
    LOOP
        -- Per account whose balance would leave what it may be: its latest gains above 2^53, its latest losses below zero
        -- (below the smallest bigint, where debt is allowed). Only such accounts are looked at row by row.
        WITH pending AS (
            SELECT e.row_number, e.customer_id, e.occurred_at, e.points
            FROM intake_event AS e
            WHERE e.reason IS NULL AND e.points <> 0
              AND NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = e.row_number)
        ), total AS (
            SELECT customer_id, coalesce(sum(points) FILTER (WHERE points > 0), 0) AS gains, sum(points) AS net,
                   coalesce(sum(points) FILTER (WHERE points < 0), 0) AS losses
            FROM pending GROUP BY customer_id
        ), broken AS (
            SELECT total.customer_id, total.gains, coalesce(account.balance, 0)::numeric AS balance,
                   CASE WHEN program.allow_debt THEN -9223372036854775808 ELSE 0 END AS floor
            FROM total CROSS JOIN loyalty.program
            LEFT JOIN intake_profile AS profile USING (customer_id)
            LEFT JOIN loyalty.account USING (profile_id)
            WHERE coalesce(account.balance, 0) + total.net < CASE WHEN program.allow_debt THEN -9223372036854775808 ELSE 0 END
               OR coalesce(account.balance, 0) + total.gains > 9007199254740992
               OR coalesce(account.balance, 0) + total.losses < -9223372036854775808
        ), running AS (
            SELECT pending.row_number, pending.points, broken.floor, broken.customer_id,
                   broken.balance + CASE WHEN pending.points < 0 THEN broken.gains ELSE 0 END + sum(pending.points) OVER (
                       PARTITION BY pending.customer_id, pending.points < 0 ORDER BY pending.occurred_at, pending.row_number) AS balance
            FROM pending JOIN broken USING (customer_id)
        )
        UPDATE intake_event AS e SET code = 'conflict', reason = CASE
            WHEN running.points > 0 OR running.floor < 0 THEN format('the balance of customer %s would be %s, beyond the largest number that is kept (%s)',
                to_json(running.customer_id), running.balance, CASE WHEN running.points > 0 THEN '2^53' ELSE '2^63' END)
            ELSE format('the balance of customer %s would be %s, and the program allows no debt: points may not have been awarded '
                'yet (award them, then tell it again)', to_json(running.customer_id), running.balance)
        END
        FROM running
        WHERE running.row_number = e.row_number
          AND ((running.points > 0 AND running.balance > 9007199254740992) OR (running.points < 0 AND running.balance < running.floor));
        GET DIAGNOSTICS found_any = ROW_COUNT;
        -- Per earning, or gift, of which more would be reversed and corrected away than is left of it: the latest such rows of this file.
        WITH pending AS (
            SELECT e.row_number, e.customer_id, e.effect, e.occurred_at, e.points, e.key, e.refers_to
            FROM intake_event AS e
            WHERE e.reason IS NULL AND e.points <> 0
              AND NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = e.row_number)
        ), taken AS (
            SELECT pending.*, profile.profile_id, sum(pending.points) OVER (
                PARTITION BY pending.customer_id, pending.refers_to ORDER BY pending.occurred_at, pending.row_number) AS running
            FROM pending JOIN intake_profile AS profile USING (customer_id)
            WHERE pending.effect IN ('reverse', 'adjust') AND pending.refers_to IS NOT NULL AND pending.points < 0
        ), told AS (
            SELECT taken.row_number, CASE taken.effect WHEN 'reverse' THEN 'reverses' ELSE 'corrects' END AS does,
                   coalesce(filed.points, 0) + coalesce(known.points, 0) + taken.running AS left_over
            FROM taken
            LEFT JOIN (
                SELECT customer_id, CASE WHEN effect = 'adjust' AND refers_to IS NOT NULL THEN refers_to ELSE key END AS lot,
                       sum(points) AS points, bool_or(effect = 'earn' OR refers_to IS NULL) AS is_lot
                FROM pending WHERE effect IN ('earn', 'adjust') AND points > 0 GROUP BY 1, 2
            ) AS filed ON filed.customer_id = taken.customer_id AND filed.lot = taken.refers_to
            CROSS JOIN LATERAL loyalty.left_of(taken.profile_id, taken.refers_to) AS known
            WHERE taken.effect = 'reverse' OR filed.is_lot OR known.is_lot
        )
        UPDATE intake_event AS e SET code = 'conflict', reason = format('%s%s of customer %s: %s %s, and takes %s more than is left of it', e.action, ' ' || to_json(e.event_id),
            to_json(e.customer_id), told.does, to_json(e.params ->> told.does), -told.left_over)
        FROM told WHERE told.row_number = e.row_number AND told.left_over < 0;
        GET DIAGNOSTICS found_more = ROW_COUNT;
        EXIT WHEN found_any + found_more = 0;
        PERFORM loyalty.follow_rejections();
    END LOOP;
END $$;
COMMENT ON FUNCTION loyalty.reject_what_does_not_fit IS
    'No row takes what is not there, or brings more than can be kept; no rejection is missing that follows from another one.';

CREATE FUNCTION loyalty.take_intake(OUT stored bigint, OUT rejected bigint) LANGUAGE plpgsql AS $$
DECLARE
    recorded timestamptz;
    told record;
    stored_of_new bigint := 0;
BEGIN
    -- What no row tells need not be looked for in all of them again. Rows of one key are nearly always of one customer.
    SELECT count(key) > count(DISTINCT key) AS twins, bool_or(refers_to IS NOT NULL) AS refers, bool_or(points <> 0) AS moves,
           bool_or(effect IN ('redeem', 'return') OR action = 'client.redeemPromotion') AS promotes
    INTO told FROM intake_event WHERE reason IS NULL;
    IF told.twins THEN
        PERFORM loyalty.mark_twins();
    END IF;
    PERFORM loyalty.reject_forgotten();
    PERFORM loyalty.hold_accounts();
    IF told.refers THEN
        PERFORM loyalty.find_named();
    END IF;
    recorded := clock_timestamp();
    PERFORM loyalty.find_known();
    IF told.promotes THEN
        PERFORM loyalty.reject_locked_or_over(recorded);
    END IF;
    IF told.twins OR told.refers THEN
        PERFORM loyalty.follow_rejections();
    END IF;
    IF told.moves THEN
        PERFORM loyalty.reject_what_does_not_fit();
    END IF;
    -- Of who is new nobody else can tell anything meanwhile, and the file tells each event once: nothing can stand in the way,
    -- and looking for it would take a tenth of the time.
    IF EXISTS (SELECT FROM intake_profile WHERE is_new) THEN
        INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
        SELECT profile.profile_id, e.key, e.action, e.occurred_at, e.points, e.params, e.refers_to, e.source, e.event_id, recorded
        FROM intake_event AS e JOIN intake_profile AS profile USING (customer_id)
        WHERE profile.is_new AND e.reason IS NULL
          AND NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = e.row_number)
        ORDER BY profile.profile_id, e.occurred_at;
        GET DIAGNOSTICS stored_of_new = ROW_COUNT;
    END IF;
    IF EXISTS (SELECT FROM intake_profile WHERE NOT is_new) THEN
        INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
        SELECT profile.profile_id, e.key, e.action, e.occurred_at, e.points, e.params, e.refers_to, e.source, e.event_id, recorded
        FROM intake_event AS e JOIN intake_profile AS profile USING (customer_id)
        WHERE NOT profile.is_new AND e.reason IS NULL
          AND NOT EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = e.row_number)
        ORDER BY profile.profile_id, e.occurred_at
        ON CONFLICT (profile_id, key) DO NOTHING;
        GET DIAGNOSTICS stored = ROW_COUNT;
    END IF;
    stored := coalesce(stored, 0) + stored_of_new;
    SELECT count(*) INTO rejected FROM intake_event WHERE reason IS NOT NULL;
END $$;
COMMENT ON FUNCTION loyalty.take_intake IS
    'Each event of intake_event is in the ledger, was there before, or has the reason why it is refused; no refusal is missing '
    'that follows from another one. Whoever it is about has a profile, and the account is ours until the transaction ends.';
