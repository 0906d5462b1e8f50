-- The front door: how events come in, by a file or by a request, and who may tell which.

-- Taking events in ------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.open_intake() RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    -- The rows of the file as they were read.
    CREATE TEMP TABLE IF NOT EXISTS import_row (
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
    CREATE TEMP TABLE IF NOT EXISTS import_event (
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
    CREATE TEMP TABLE IF NOT EXISTS import_twin (row_number bigint NOT NULL, first_row bigint NOT NULL, n bigint NOT NULL) ON COMMIT DELETE ROWS;
    -- Whom the file is about.
    CREATE TEMP TABLE IF NOT EXISTS import_profile (customer_id text NOT NULL, profile_id bigint NOT NULL) ON COMMIT DELETE ROWS;
    -- Rows whose event needs no storing: the ledger has it, or an earlier row of the file brings it.
    CREATE TEMP TABLE IF NOT EXISTS import_there (row_number bigint NOT NULL) ON COMMIT DELETE ROWS;
    -- Whoever made them first, in this session, could have hung triggers on them.
    IF EXISTS (
        SELECT FROM pg_class WHERE oid IN ('pg_temp.import_row'::regclass, 'pg_temp.import_event'::regclass, 'pg_temp.import_twin'::regclass,
            'pg_temp.import_profile'::regclass, 'pg_temp.import_there'::regclass) AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)) THEN
        RAISE EXCEPTION 'the tables of the intake belong to somebody else' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- What an earlier intake of the same transaction left.
    IF EXISTS (SELECT FROM import_row) THEN
        TRUNCATE import_row, import_event, import_twin, import_profile, import_there;
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.open_intake IS
    'The temporary tables of an intake are there and empty; the transaction''s end empties them.';

CREATE FUNCTION loyalty.read_intake(
    latest timestamptz, whole_objects boolean, taken text[], renamed jsonb DEFAULT '{}', fixed jsonb DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
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
               WHEN occurred_at > latest THEN format('occurred_at %s is in the future: an event has happened when it is told',
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
            FROM import_row AS r CROSS JOIN loyalty.program
            OFFSET 0
        ) AS read LEFT JOIN loyalty.action ON action.action = read.action
        OFFSET 0
    ) AS told;
END $$;
COMMENT ON FUNCTION loyalty.read_intake IS
    'Every row of import_row is one of import_event: with a key, or with the reason, lying in the row alone, why it is no event. '
    'Of whole objects the members taken are no parameters, others are renamed, and some are fixed for all rows.';

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
        UPDATE import_event AS e
        SET reason = format('the same event as row %s, which was rejected: %s', first.row_number, first.reason), code = first.code, detail = first.detail
        FROM import_twin AS twin JOIN import_event AS first ON first.row_number = twin.first_row
        WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL AND e.reason IS NULL AND first.reason IS NOT NULL;
        GET DIAGNOSTICS twins = ROW_COUNT;
        -- Reversals, corrections and ends of events that are neither in the ledger nor accepted from this file, or not of a kind that
        -- can be reversed or corrected. The ledger's word comes before the file's.
        UPDATE import_event AS e SET reason = format('%s%s of customer %s: %s %s %s', e.action, ' ' || to_json(e.event_id), to_json(e.customer_id),
            told.parameter, to_json(e.params ->> told.parameter), CASE
                WHEN told.target IS NULL THEN 'is the event_id of no event of this customer, neither in the ledger nor accepted from this file'
                WHEN e.effect = 'reverse' THEN format('is a %s: only points earned can be reversed', told.target)
                WHEN told.parameter = 'activation' THEN format('is a %s: only an activation can be redeemed or deactivated', told.target)
                WHEN told.kind = 'adjust' AND told.instead IS NOT NULL THEN format('is itself a correction, of %s: correct that event', to_json(told.instead))
                WHEN told.kind = 'reverse' THEN format('is a reversal of %s: correct that earning', to_json(told.instead))
                WHEN told.kind = 'expire' THEN 'is an expiry, which the next run corrects by itself: correct what it came from'
                ELSE format('is a %s whose own expires_on is no date, so it says no date for the correction: give it an expires_on', told.target)
            END)
        FROM (
            SELECT asking.row_number, CASE asking.effect WHEN 'reverse' THEN 'reverses' WHEN 'adjust' THEN 'corrects' ELSE 'activation' END AS parameter,
                   coalesce(known.action, filed.action) AS target, kind.effect AS kind,
                   CASE WHEN coalesce(known.refers_to, filed.refers_to) IS NOT NULL THEN coalesce(coalesce(known.params, filed.params)
                       ->> CASE kind.effect WHEN 'adjust' THEN 'corrects' ELSE 'reverses' END, known.refers_to::text) END AS instead,
                   CASE WHEN asking.effect <> 'adjust' OR asking.params ? 'expires_on' OR kind.effect = 'earn' THEN NULL
                        ELSE coalesce(known.params, filed.params) ->> 'expires_on' END AS expires_on
            FROM import_event AS asking
            LEFT JOIN import_profile AS profile USING (customer_id)
            LEFT JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = asking.refers_to
            LEFT JOIN import_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
                AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND profile.profile_id IS NOT NULL
            LEFT JOIN loyalty.action AS kind ON kind.action = coalesce(known.action, filed.action)
            WHERE asking.reason IS NULL AND asking.refers_to IS NOT NULL
              AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = asking.row_number)
        ) AS told
        WHERE told.row_number = e.row_number
          AND (told.target IS NULL
            OR (e.effect = 'reverse' AND told.kind IS DISTINCT FROM 'earn')
            OR (told.parameter = 'activation' AND told.kind IS DISTINCT FROM 'redeem')
            OR told.kind IN ('expire', 'reverse')
            OR (told.kind = 'adjust' AND told.instead IS NOT NULL)
            OR NOT CASE
                WHEN told.expires_on IS NULL THEN true
                WHEN told.expires_on ~ '^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$'
                THEN right(told.expires_on, 2)::int <= extract(day FROM (left(told.expires_on, 7) || '-01')::date + interval '1 month -1 day')
                ELSE false END);
        GET DIAGNOSTICS dangling = ROW_COUNT;
        EXIT WHEN twins + dangling = 0;
    END LOOP;
END $$;
COMMENT ON FUNCTION loyalty.follow_rejections IS 'No row that is left refers to a rejected one, or is the same event.';

CREATE FUNCTION loyalty.take_intake(OUT stored bigint, OUT rejected bigint) LANGUAGE plpgsql AS $$
DECLARE
    recorded timestamptz;
    found_any bigint;
    found_more bigint;
BEGIN
    -- Sorted by the key first: it nearly always decides, and faster than a text.
    INSERT INTO import_twin (row_number, first_row, n)
    SELECT row_number, first_row, n
    FROM (
        SELECT row_number, first_value(row_number) OVER same AS first_row, row_number() OVER same AS n
        FROM import_event WHERE reason IS NULL
        WINDOW same AS (PARTITION BY key, customer_id ORDER BY row_number)
    ) AS numbered
    WHERE n > 1;
    IF FOUND THEN
        -- Alike, but without a name: each is an event of its own, the nth of its kind in this file.
        UPDATE import_event AS e SET key = md5(e.key::text || twin.n)::uuid
        FROM import_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NULL;
        -- The same event_id with another body: the first row has it.
        UPDATE import_event AS e
        SET reason = format('event_id %s is in row %s with another body: here %s, there %s', to_json(e.event_id), first.row_number,
                            loyalty.event_body(e.action, e.occurred_at, e.params, e.source),
                            loyalty.event_body(first.action, first.occurred_at, first.params, first.source)),
            code = 'conflict',
            detail = jsonb_build_object('here', loyalty.event_body(e.action, e.occurred_at, e.params, e.source),
                                        'there', loyalty.event_body(first.action, first.occurred_at, first.params, first.source))
        FROM import_twin AS twin JOIN import_event AS first ON first.row_number = twin.first_row
        WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL
          AND (e.action, e.occurred_at, e.params, e.source) IS DISTINCT FROM (first.action, first.occurred_at, first.params, first.source);
        INSERT INTO import_there (row_number)
        SELECT e.row_number FROM import_event AS e JOIN import_twin AS twin USING (row_number)
        WHERE e.event_id IS NOT NULL AND e.reason IS NULL;
    END IF;
    IF EXISTS (SELECT FROM loyalty.forgotten_customer) THEN
        UPDATE import_event AS e SET code = 'conflict',
            reason = format('customer_id %s was forgotten: what happened before that is not taken again', to_json(e.customer_id))
        FROM (SELECT DISTINCT customer_id FROM import_event WHERE reason IS NULL) AS named
        JOIN loyalty.forgotten_customer AS known ON known.digest = loyalty.customer_digest(named.customer_id)
        WHERE e.customer_id = named.customer_id AND e.reason IS NULL AND e.occurred_at < known.forgotten_at;
    END IF;
    -- In ascending order, so that two imports meet without a deadlock. A customer of whom the file tells nothing that could
    -- be stored for a new one (only losses, only references) is not made.
    INSERT INTO loyalty.profile (customer_id)
    SELECT e.customer_id FROM import_event AS e CROSS JOIN loyalty.program
    WHERE e.reason IS NULL AND NOT EXISTS (SELECT FROM loyalty.profile WHERE profile.customer_id = e.customer_id)
    GROUP BY e.customer_id
    HAVING bool_or(e.refers_to IS NULL) AND bool_or(e.points IS NULL OR e.points >= 0 OR program.allow_debt)
    ORDER BY e.customer_id
    ON CONFLICT (customer_id) DO NOTHING;
    INSERT INTO import_profile (customer_id, profile_id)
    SELECT profile.customer_id, profile.profile_id
    FROM loyalty.profile
    WHERE profile.customer_id IN (SELECT customer_id FROM import_event WHERE reason IS NULL)
    ORDER BY profile.profile_id;
    -- No autovacuum sees a temporary table: without this the planner guesses. For a few rows its guess will do.
    IF (SELECT count(*) FROM import_event) > 2000 THEN
        ANALYZE import_event, import_profile;
    END IF;
    -- Lock order of the whole system: accounts, ascending. Events are decided upon and inserted only after it.
    PERFORM FROM (
        SELECT account.profile_id FROM loyalty.account JOIN import_profile USING (profile_id)
        ORDER BY account.profile_id FOR NO KEY UPDATE OF account
    ) AS locked;
    -- Somebody may have been forgotten while we waited for the account.
    UPDATE import_event AS e SET code = 'conflict', reason = format('customer_id %s was forgotten just now', to_json(e.customer_id))
    FROM import_profile AS known JOIN loyalty.profile USING (profile_id)
    WHERE profile.customer_id <> known.customer_id AND e.customer_id = known.customer_id AND e.reason IS NULL;
    -- An event may be named by its key, too, where nothing has that for its event_id.
    UPDATE import_event AS e SET refers_to = known.key
    FROM (
        SELECT asking.row_number, asking.customer_id,
               CASE WHEN asking.name ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN asking.name::uuid END AS key
        FROM (
            SELECT row_number, customer_id, CASE effect
                WHEN 'reverse' THEN params ->> 'reverses' WHEN 'adjust' THEN params ->> 'corrects' ELSE params ->> 'activation' END AS name
            FROM import_event WHERE reason IS NULL AND refers_to IS NOT NULL
        ) AS asking
        OFFSET 0
    ) AS named
    JOIN import_profile AS profile USING (customer_id)
    JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = named.key
    WHERE named.row_number = e.row_number AND NOT EXISTS (
        SELECT FROM loyalty.event AS called WHERE called.profile_id = profile.profile_id AND called.key = e.refers_to);
    recorded := clock_timestamp();
    -- By the primary key of the ledger, (profile_id, key).
    INSERT INTO import_there (row_number)
    SELECT e.row_number
    FROM import_event AS e
    JOIN import_profile AS profile USING (customer_id)
    JOIN loyalty.event AS known ON known.profile_id = profile.profile_id AND known.key = e.key
    WHERE e.reason IS NULL
      AND NOT EXISTS (SELECT FROM import_twin AS twin WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL);
    IF (SELECT count(*) FROM import_there) > 2000 THEN
        ANALYZE import_there;
    END IF;
    -- The same event_id with another body than in the ledger, which stays as it is. A twin goes the way of its first row.
    UPDATE import_event AS e
    SET reason = format('event_id %s is known with another body: here %s, in the ledger %s', to_json(e.event_id),
                        loyalty.event_body(e.action, e.occurred_at, e.params, e.source),
                        loyalty.event_body(known.action, known.occurred_at, known.params, known.source)),
        code = 'conflict',
        detail = jsonb_build_object('here', loyalty.event_body(e.action, e.occurred_at, e.params, e.source),
                                    'there', loyalty.event_body(known.action, known.occurred_at, known.params, known.source))
    FROM import_there AS there, import_profile AS profile, loyalty.event AS known
    WHERE there.row_number = e.row_number AND e.event_id IS NOT NULL AND e.reason IS NULL
      AND profile.customer_id = e.customer_id AND known.profile_id = profile.profile_id AND known.key = e.key
      AND (e.action, e.occurred_at, e.params, e.source) IS DISTINCT FROM (known.action, known.occurred_at, known.params, known.source);
    -- What a customer may not start while a journey has locked the balance; and the end of a promotion that has ended, ends
    -- twice in this file, or cost another number of points.
    UPDATE import_event AS e
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
            FROM import_event WHERE reason IS NULL AND (effect IN ('redeem', 'return') OR action = 'client.redeemPromotion')
        ) AS asking
        JOIN import_profile AS profile USING (customer_id)
        JOIN loyalty.account USING (profile_id)
        LEFT JOIN loyalty.promotion_activation AS activation
            ON activation.profile_id = profile.profile_id AND activation.activation = asking.refers_to
        LEFT JOIN import_event AS filed ON filed.customer_id = asking.customer_id AND filed.key = asking.refers_to
            AND filed.reason IS NULL AND filed.row_number <> asking.row_number AND filed.params ? 'promotion'
        CROSS JOIN LATERAL (
            SELECT CASE WHEN account.lock_expires_at > recorded AND asking.effect IN ('redeem', 'return')
                             AND activation.run_id IS DISTINCT FROM account.lock_run_id THEN account.lock_expires_at END AS locked_until
        ) AS lock
        WHERE NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = asking.row_number)
          AND (activation.activation IS NOT NULL OR filed.key IS NOT NULL OR asking.effect IN ('redeem', 'return'))
    ) AS told
    WHERE told.row_number = e.row_number AND told.reason IS NOT NULL;
    PERFORM loyalty.follow_rejections();
    LOOP
        -- Per account whose balance would leave what it may be: its latest gains above 2^53, its latest losses below zero
        -- (below the smallest bigint, where debt is allowed). Only such accounts are looked at row by row.
        WITH pending AS (
            SELECT e.row_number, e.customer_id, e.occurred_at, e.points
            FROM import_event AS e
            WHERE e.reason IS NULL AND e.points <> 0
              AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
        ), total AS (
            SELECT customer_id, coalesce(sum(points) FILTER (WHERE points > 0), 0) AS gains, sum(points) AS net,
                   coalesce(sum(points) FILTER (WHERE points < 0), 0) AS losses
            FROM pending GROUP BY customer_id
        ), broken AS (
            SELECT total.customer_id, total.gains, coalesce(account.balance, 0)::numeric AS balance,
                   CASE WHEN program.allow_debt THEN -9223372036854775808 ELSE 0 END AS floor
            FROM total CROSS JOIN loyalty.program
            LEFT JOIN import_profile AS profile USING (customer_id)
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
        UPDATE import_event AS e SET code = 'conflict', reason = CASE
            WHEN running.points > 0 OR running.floor < 0 THEN format('the balance of customer %s would be %s, beyond the largest number that is kept (%s)',
                to_json(running.customer_id), running.balance, CASE WHEN running.points > 0 THEN '2^53' ELSE '2^63' END)
            ELSE format('the balance of customer %s would be %s, and the program allows no debt: points may not have been awarded '
                'yet (award them, then tell it again)', to_json(running.customer_id), running.balance)
        END
        FROM running
        WHERE running.row_number = e.row_number
          AND ((running.points > 0 AND running.balance > 9007199254740992) OR (running.points < 0 AND running.balance < running.floor));
        GET DIAGNOSTICS found_any = ROW_COUNT;
        -- Per earning of which more would be reversed than is left of it (its points, corrected, less earlier reversals): the latest
        -- reversals of this file.
        WITH pending AS (
            SELECT e.row_number, e.customer_id, e.effect, e.occurred_at, e.points, e.key, e.refers_to
            FROM import_event AS e
            WHERE e.reason IS NULL AND e.points <> 0
              AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
        ), taken AS (
            SELECT pending.*, profile.profile_id, sum(pending.points) OVER (
                PARTITION BY pending.customer_id, pending.refers_to ORDER BY pending.occurred_at, pending.row_number) AS running
            FROM pending JOIN import_profile AS profile USING (customer_id) WHERE pending.effect = 'reverse'
        ), told AS (
            SELECT taken.row_number, coalesce(filed.points, 0) + coalesce(known.points, 0) + taken.running AS left_over
            FROM taken
            LEFT JOIN (
                SELECT customer_id, CASE effect WHEN 'adjust' THEN refers_to ELSE key END AS earning, sum(points) AS points
                FROM pending WHERE effect = 'earn' OR (effect = 'adjust' AND refers_to IS NOT NULL) GROUP BY 1, 2
            ) AS filed ON filed.customer_id = taken.customer_id AND filed.earning = taken.refers_to
            CROSS JOIN LATERAL (
                SELECT sum(p.points) AS points
                FROM loyalty.event AS p JOIN loyalty.action AS kind USING (action)
                WHERE p.profile_id = taken.profile_id
                  AND (p.key = taken.refers_to OR (p.refers_to = taken.refers_to AND kind.effect IN ('reverse', 'adjust'))) OFFSET 0
            ) AS known
        )
        UPDATE import_event AS e SET code = 'conflict', reason = format('%s%s of customer %s: reverses %s, and takes %s more than is left of it', e.action, ' ' || to_json(e.event_id),
            to_json(e.customer_id), to_json(e.params ->> 'reverses'), -told.left_over)
        FROM told WHERE told.row_number = e.row_number AND told.left_over < 0;
        GET DIAGNOSTICS found_more = ROW_COUNT;
        EXIT WHEN found_any + found_more = 0;
        PERFORM loyalty.follow_rejections();
    END LOOP;
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
    SELECT profile.profile_id, e.key, e.action, e.occurred_at, e.points, e.params, e.refers_to, e.source, e.event_id, recorded
    FROM import_event AS e JOIN import_profile AS profile USING (customer_id)
    WHERE e.reason IS NULL AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
    ORDER BY profile.profile_id, e.occurred_at
    ON CONFLICT (profile_id, key) DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;
    SELECT count(*) INTO rejected FROM import_event WHERE reason IS NOT NULL;
END $$;
COMMENT ON FUNCTION loyalty.take_intake IS
    'Each event of import_event is in the ledger, was there before, or has the reason why it is refused; no refusal is missing '
    'that follows from another one. Whoever it is about has a profile, and the account is ours until the transaction ends.';

-- Keys ------------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.api_key (
    key_id text PRIMARY KEY CHECK (key_id ~ '^[0-9a-z]+$'),
    digest bytea NOT NULL,
    title text NOT NULL,
    customer_id text,
    allows text[],
    denies text[] NOT NULL DEFAULT '{}',
    per_minute integer CHECK (per_minute > 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE loyalty.api_key IS 'Who may call the events API, and what each may tell.';
COMMENT ON COLUMN loyalty.api_key.key_id IS 'The part of the key that is no secret.';
COMMENT ON COLUMN loyalty.api_key.digest IS 'SHA-256 of the whole key, which is random and kept nowhere.';
COMMENT ON COLUMN loyalty.api_key.title IS 'What people call it.';
COMMENT ON COLUMN loyalty.api_key.customer_id IS 'The one customer whom it may speak for and ask about; null: everybody (a workspace key).';
COMMENT ON COLUMN loyalty.api_key.allows IS 'The actions that it may write, a * at the end standing for any rest; null: all.';
COMMENT ON COLUMN loyalty.api_key.denies IS 'The actions that it may not write, whatever it is allowed.';
COMMENT ON COLUMN loyalty.api_key.per_minute IS 'How many events and questions a minute it may send; null: any number.';
COMMENT ON COLUMN loyalty.api_key.created_at IS 'When it was made.';
COMMENT ON COLUMN loyalty.api_key.expires_at IS 'When it ends by itself; null: never.';
COMMENT ON COLUMN loyalty.api_key.revoked_at IS 'When it was taken back; null: it was not.';

CREATE TABLE loyalty.api_key_use (
    key_id text PRIMARY KEY REFERENCES loyalty.api_key,
    minute timestamptz NOT NULL,
    units bigint NOT NULL
);
COMMENT ON TABLE loyalty.api_key_use IS 'What limited keys have used of the minute in which they were last used.';
COMMENT ON COLUMN loyalty.api_key_use.key_id IS 'The key.';
COMMENT ON COLUMN loyalty.api_key_use.minute IS 'The minute, by its beginning.';
COMMENT ON COLUMN loyalty.api_key_use.units IS 'Events and questions in it.';

CREATE FUNCTION loyalty.authenticate(token text) RETURNS loyalty.api_key LANGUAGE plpgsql AS $$
DECLARE
    known loyalty.api_key;
    salt bytea := uuid_send(gen_random_uuid());
BEGIN
    SELECT * INTO known FROM loyalty.api_key WHERE key_id = split_part(token, '_', 2);
    -- Of salted digests: how long they take to compare says nothing about the secret.
    IF sha256(salt || coalesce(known.digest, '')) <> sha256(salt || sha256(convert_to(coalesce(token, ''), 'UTF8'))) THEN
        RAISE EXCEPTION 'the key is unknown' USING ERRCODE = 'LY401';
    ELSIF known.revoked_at <= clock_timestamp() OR known.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the key % is no longer good: it % at %', known.key_id,
            CASE WHEN known.revoked_at IS NULL THEN 'ended' ELSE 'was revoked' END,
            to_char(timezone('UTC', coalesce(known.revoked_at, known.expires_at)), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'LY401';
    END IF;
    RETURN known;
END $$;
COMMENT ON FUNCTION loyalty.authenticate IS 'The key that the token is, which is good now; else LY401.';

CREATE FUNCTION loyalty.is_one_of(action text, patterns text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM unnest(patterns) AS pattern
    WHERE action = pattern OR (right(pattern, 1) = '*' AND starts_with(action, left(pattern, -1))));
COMMENT ON FUNCTION loyalty.is_one_of IS 'Whether an action is among these, a * at the end standing for any rest.';

CREATE FUNCTION loyalty.may_write(key loyalty.api_key, action text) RETURNS boolean
LANGUAGE sql STABLE
RETURN (key.allows IS NULL OR loyalty.is_one_of(action, key.allows)) AND NOT loyalty.is_one_of(action, key.denies)
    AND NOT EXISTS (
        SELECT FROM loyalty.action AS known
        WHERE known.action = may_write.action AND (known.effect IN ('expire', 'cancel', 'restore')
            OR (key.customer_id IS NOT NULL AND (known.effect NOT IN ('none', 'redeem', 'return') OR known.feeds_rules)
                AND action <> ALL (coalesce(key.allows, '{}')))));
COMMENT ON FUNCTION loyalty.may_write IS
    'Whether the key may tell of the action. Nobody tells what journeys alone do; and one bound to a customer tells what brings points, '
    'or feeds a rule that does, only where it is allowed by its full name.';

CREATE FUNCTION loyalty.authorize(token text, customer text, action text DEFAULT NULL) RETURNS loyalty.api_key LANGUAGE plpgsql AS $$
DECLARE
    key loyalty.api_key := loyalty.authenticate(token);
BEGIN
    IF key.customer_id <> customer THEN
        RAISE EXCEPTION 'this key is for customer % alone', to_json(key.customer_id) USING ERRCODE = 'LY403';
    ELSIF action IS NOT NULL AND NOT loyalty.may_write(key, action) THEN
        RAISE EXCEPTION 'this key may not write %', action USING ERRCODE = 'LY403';
    END IF;
    RETURN key;
END $$;
COMMENT ON FUNCTION loyalty.authorize IS 'The key that the token is, which is good now and may do this for this customer; else LY401, LY403.';

-- The doors: all that the role of the API can call -------------------------------------------------------------------------
-- They run as their owner. The search path keeps out what the caller could put before our names.

CREATE FUNCTION loyalty.admit(token text, units bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key loyalty.api_key := loyalty.authenticate(token);
    now timestamptz := clock_timestamp();
    used bigint;
BEGIN
    IF units > key.per_minute THEN
        RAISE EXCEPTION '% at once: the key % may send % a minute', units, key.key_id, key.per_minute USING ERRCODE = 'LY413';
    ELSIF key.per_minute IS NOT NULL THEN
        INSERT INTO loyalty.api_key_use AS known (key_id, minute, units)
        VALUES (key.key_id, date_trunc('minute', now), greatest(admit.units, 0))
        ON CONFLICT (key_id) DO UPDATE SET minute = excluded.minute,
            units = excluded.units + CASE WHEN known.minute = excluded.minute THEN known.units ELSE 0 END
        RETURNING known.units INTO used;
        IF used > key.per_minute THEN
            RAISE EXCEPTION 'the key % may send % a minute, and this would be %', key.key_id, key.per_minute, used
                USING ERRCODE = 'LY429', DETAIL = (date_trunc('minute', now) + interval '1 minute')::text;
        END IF;
    END IF;
    RETURN key.key_id;
END $$;
COMMENT ON FUNCTION loyalty.admit IS
    'The key is good, and has not used up its minute with these events or questions, which are counted; returns its id. '
    'Refused: LY401, LY429 with the instant from which more is taken.';

CREATE FUNCTION loyalty.take_events(
    token text, numbers bigint[], faults text[], customers text[], actions text[], times timestamp[], ids text[], salts text[],
    sources text[], bodies text[], taken text[])
RETURNS TABLE (row_number bigint, outcome text, event_id text, code text, reason text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    key loyalty.api_key := loyalty.authenticate(token);
BEGIN
    PERFORM loyalty.open_intake();
    INSERT INTO import_row (row_number, fault, customer_id, action, utc_time, event_id, source, params)
    SELECT number, fault, customer, action, moment,
           CASE WHEN key.customer_id IS NULL THEN '' ELSE 'own:' END || coalesce(nullif(id, ''), 'derived:' || md5(octet_length(customer) || ' ' || octet_length(action) || customer || action
               || extract(epoch FROM moment) || coalesce(salt, ''))),
           source, body::jsonb
    FROM unnest(numbers, faults, customers, actions, times, ids, salts, sources, bodies)
         AS told(number, fault, customer, action, moment, id, salt, source, body);
    PERFORM loyalty.read_intake(clock_timestamp() + interval '5 minutes', true, taken);
    -- What a promotion costs, and gives back, a customer's own key does not say: there are calls for that.
    UPDATE import_event AS e SET code = 'forbidden', reason = CASE
        WHEN e.customer_id <> key.customer_id THEN format('this key is for customer %s alone', to_json(key.customer_id))
        ELSE format('this key may not write %s', e.action) END
    FROM (SELECT action, loyalty.may_write(key, action) AS may FROM (SELECT DISTINCT action FROM import_event WHERE action IS NOT NULL) AS a) AS told
    WHERE told.action = e.action AND (NOT told.may OR e.customer_id <> key.customer_id
        OR (key.customer_id IS NOT NULL AND (e.effect IN ('redeem', 'return') OR e.action = 'client.redeemPromotion')));
    UPDATE import_event SET reason = format('%s without the parameter activation: it holds the event_id or the key of what is given back', action)
    WHERE effect = 'return' AND refers_to IS NULL AND reason IS NULL;
    PERFORM loyalty.take_intake();
    RETURN QUERY
    SELECT e.row_number,
           CASE WHEN e.reason IS NOT NULL THEN 'rejected'
                WHEN EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number) THEN 'known'
                ELSE 'stored' END,
           e.event_id, CASE WHEN e.reason IS NOT NULL THEN coalesce(e.code, 'invalid') END, e.reason, e.detail
    FROM import_event AS e ORDER BY e.row_number;
END $$;
COMMENT ON FUNCTION loyalty.take_events IS
    'Each of these events is in the ledger once the caller commits (stored now, or known before), or rejected for a reason; the code '
    'is invalid, forbidden, conflict or locked. An event without an id is told by customer, action, time and salt. Refused: LY401.';

CREATE FUNCTION loyalty.read_profile(token text, customer text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    own bigint;
BEGIN
    PERFORM loyalty.authorize(token, customer);
    SELECT profile_id INTO own FROM loyalty.profile WHERE customer_id = customer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no customer % is known', to_json(customer) USING ERRCODE = 'LY404';
    END IF;
    RETURN (
        WITH lot AS (
            SELECT event.action, lot.earned_at, lot.points, lot.remaining, lot.due_on, lot.key
            FROM loyalty.lot JOIN loyalty.event ON event.profile_id = lot.profile_id AND event.key = lot.key
            WHERE lot.profile_id = own AND lot.remaining > 0
        )
        SELECT jsonb_build_object(
            'customer_id', customer,
            'balance', account.balance,
            'locked_until', CASE WHEN account.lock_expires_at > clock_timestamp() THEN account.lock_expires_at END,
            'lots', coalesce((
                SELECT jsonb_agg(jsonb_build_object('action', action, 'earned_at', earned_at, 'points', points, 'remaining', remaining,
                                                    'expires_on', due_on) ORDER BY due_on NULLS LAST, earned_at, key) FROM lot), '[]'),
            'upcoming', coalesce((
                SELECT jsonb_agg(jsonb_build_object('expires_on', due_on, 'points', points) ORDER BY due_on)
                FROM (SELECT due_on, sum(remaining) AS points FROM lot WHERE due_on IS NOT NULL GROUP BY due_on) AS day), '[]'))
        FROM loyalty.account WHERE account.profile_id = own);
END $$;
COMMENT ON FUNCTION loyalty.read_profile IS
    'The customer''s balance, the end of a live lock, what is left of each earning, and what expires on which day. Refused: LY401, LY403, LY404.';

CREATE FUNCTION loyalty.read_promotions(token text, customer text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    own loyalty.account;
    today date := (SELECT timezone(program.timezone, clock_timestamp())::date FROM loyalty.program);
BEGIN
    PERFORM loyalty.authorize(token, customer);
    SELECT account.* INTO own FROM loyalty.account JOIN loyalty.profile USING (profile_id) WHERE customer_id = customer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no customer % is known', to_json(customer) USING ERRCODE = 'LY404';
    END IF;
    RETURN jsonb_build_object(
        'customer_id', customer,
        'balance', own.balance,
        'affordable', coalesce((
            SELECT jsonb_agg(jsonb_build_object('promotion', promotion, 'title', title, 'required_points', required_points,
                                                'valid_to', valid_to) ORDER BY required_points, promotion)
            FROM loyalty.promotion
            WHERE is_offered AND required_points <= own.balance
              AND coalesce(valid_from <= today, true) AND coalesce(valid_to >= today, true)), '[]'),
        'activations', coalesce((
            SELECT jsonb_agg(to_jsonb(held) - 'profile_id' - 'run_id' - 'activated_at' - 'ended_at' ORDER BY activated_at, activation)
            FROM loyalty.promotion_activation AS held
            WHERE held.profile_id = own.profile_id AND held.state IN ('active', 'deactivating')), '[]'));
END $$;
COMMENT ON FUNCTION loyalty.read_promotions IS
    'The promotions that the customer can afford now, and those that are paid for and not ended. Refused: LY401, LY403, LY404.';

CREATE FUNCTION loyalty.change_promotion(token text, customer text, verb text, called uuid, the_promotion text DEFAULT NULL)
RETURNS loyalty.promotion_activation
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The caller's name for the activation is no key of an event: else it could be that of another one.
    own uuid := md5('activation:' || called)::uuid;
    held uuid;
BEGIN
    PERFORM loyalty.authorize(token, customer, 'client.' || verb || 'Promotion');
    IF verb = 'activate' THEN
        RETURN loyalty.activate_promotion(customer, the_promotion, own);
    END IF;
    SELECT activation INTO held FROM loyalty.promotion_activation JOIN loyalty.profile USING (profile_id)
    WHERE customer_id = customer AND activation IN (called, own) ORDER BY activation = own DESC LIMIT 1;
    RETURN CASE verb
        WHEN 'redeem' THEN loyalty.redeem_promotion(customer, coalesce(held, called))
        WHEN 'deactivate' THEN loyalty.deactivate_promotion(customer, coalesce(held, called))
    END;
END $$;
COMMENT ON FUNCTION loyalty.change_promotion IS
    'What activate_promotion, redeem_promotion or deactivate_promotion does, for a key that may tell of it; the activation is called as '
    'the caller named it, or by its key. Refused: as there, LY401, LY403.';

-- Nobody but the owner calls anything here until it is granted (see store/sql/roles).
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
