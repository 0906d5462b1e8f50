-- The front door: who may tell events and ask about customers, by which key, and the functions that are all that the API calls.

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
    INSERT INTO intake_row (row_number, fault, customer_id, action, utc_time, event_id, source, params)
    SELECT number, fault, customer, action, moment,
           CASE WHEN key.customer_id IS NULL THEN '' ELSE 'own:' END || coalesce(nullif(id, ''), 'derived:' || md5(octet_length(customer) || ' ' || octet_length(action) || customer || action
               || extract(epoch FROM moment) || coalesce(salt, ''))),
           source, body::jsonb
    FROM unnest(numbers, faults, customers, actions, times, ids, salts, sources, bodies)
         AS told(number, fault, customer, action, moment, id, salt, source, body);
    PERFORM loyalty.read_intake(clock_timestamp(), true, taken);
    -- What a promotion costs, and gives back, a customer's own key does not say: there are calls for that.
    UPDATE intake_event AS e SET code = 'forbidden', reason = CASE
        WHEN e.customer_id <> key.customer_id THEN format('this key is for customer %s alone', to_json(key.customer_id))
        ELSE format('this key may not write %s', e.action) END
    FROM (SELECT action, loyalty.may_write(key, action) AS may FROM (SELECT DISTINCT action FROM intake_event WHERE action IS NOT NULL) AS a) AS told
    WHERE told.action = e.action AND (NOT told.may OR e.customer_id <> key.customer_id
        OR (key.customer_id IS NOT NULL AND (e.effect IN ('redeem', 'return') OR e.action = 'client.redeemPromotion')));
    UPDATE intake_event SET reason = format('%s without the parameter activation: it holds the event_id or the key of what is given back', action)
    WHERE effect = 'return' AND refers_to IS NULL AND reason IS NULL;
    PERFORM loyalty.take_intake();
    RETURN QUERY
    SELECT e.row_number,
           CASE WHEN e.reason IS NOT NULL THEN 'rejected'
                WHEN EXISTS (SELECT FROM intake_there AS there WHERE there.row_number = e.row_number) THEN 'known'
                ELSE 'stored' END,
           e.event_id, CASE WHEN e.reason IS NOT NULL THEN coalesce(e.code, 'invalid') END, e.reason, e.detail
    FROM intake_event AS e ORDER BY e.row_number;
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
