-- The ledger: profiles, their events, their accounts, and the rules that keep them true whoever writes.

CREATE SCHEMA IF NOT EXISTS loyalty;

-- Time ----------------------------------------------------------------------------------------------------------------
-- PL/pgSQL, where a function is called for each event: PostgreSQL cannot inline these as SQL, and runs them ten times slower.

CREATE FUNCTION loyalty.local_instant(moment timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    instant timestamptz := timezone(zone, moment);
BEGIN
    IF timezone(zone, instant - interval '1 hour') = moment THEN
        RETURN instant - interval '1 hour';
    END IF;
    RETURN instant;
END $$;
COMMENT ON FUNCTION loyalty.local_instant IS
    'The first instant at which clocks in the zone show the moment; for a moment that clocks skip, the instant of the same distance past the skip.';

CREATE FUNCTION loyalty.midnight(day date, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN loyalty.local_instant(day::timestamp, zone);
END $$;
COMMENT ON FUNCTION loyalty.midnight IS 'The first instant of a local day.';

CREATE FUNCTION loyalty.day_after(moment timestamptz, zone text) RETURNS date
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    shown timestamp := timezone(zone, moment);
BEGIN
    -- Clocks that fall back from past midnight show the evening once more: its midnight has been.
    IF shown::time >= '20:00' AND loyalty.midnight(shown::date + 1, zone) <= moment THEN
        RETURN shown::date + 2;
    END IF;
    RETURN shown::date + 1;
END $$;
COMMENT ON FUNCTION loyalty.day_after IS 'The day that begins with the first midnight strictly after the moment.';

CREATE FUNCTION loyalty.due_on(earned_at timestamptz, validity_days integer, zone text) RETURNS date
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    shown timestamp := timezone(zone, earned_at) + make_interval(days => validity_days);
    due_at timestamptz;
    day date;
BEGIN
    -- In daytime, and on clocks that do show it, nothing can be doubtful about the midnight before.
    IF shown::time >= '04:00' AND timezone(zone, timezone(zone, shown)) = shown THEN
        RETURN shown::date + 1;
    END IF;
    due_at := loyalty.local_instant(shown, zone);
    day := timezone(zone, due_at)::date;
    IF due_at <= loyalty.midnight(day, zone) THEN
        RETURN day;
    END IF;
    RETURN day + 1;
END $$;
COMMENT ON FUNCTION loyalty.due_on IS
    'The day whose midnight is the first at which points earned then are due: validity in calendar days of the zone.';

-- Numbers -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.number_of(value jsonb) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(value) = 'number' THEN
        RETURN value::numeric;
    ELSIF jsonb_typeof(value) = 'string'
          AND value #>> '{}' ~ '^\s*-?(0|[1-9]\d{0,99})(\.\d{1,99})?([eE][+-]?\d{1,2})?\s*$' THEN
        RETURN (value #>> '{}')::numeric;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.number_of IS
    'The number that a parameter holds, as a JSON number or as a string of one with spaces around it; null for anything else.';

CREATE FUNCTION loyalty.points_of(value jsonb) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    number numeric := loyalty.number_of(value);
BEGIN
    IF number = trunc(number) AND abs(number) <= 9007199254740992 THEN
        RETURN number;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.points_of IS 'The whole number of points that a parameter holds, within 2^53 either way; else null.';

CREATE FUNCTION loyalty.balance_effect(effect text, points bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF effect = 'adjust' THEN
        RETURN points;
    ELSIF points >= 0 AND effect IN ('earn', 'return', 'restore') THEN
        RETURN points;
    ELSIF points >= 0 AND effect IN ('reverse', 'redeem', 'expire', 'cancel') THEN
        RETURN -points;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.balance_effect IS
    'What an event of this effect does to the balance; null where it does nothing, or where the amount is not one it may carry.';

CREATE AGGREGATE loyalty.total(bigint) (SFUNC = int8pl, COMBINEFUNC = int8pl, STYPE = bigint, PARALLEL = SAFE);
COMMENT ON AGGREGATE loyalty.total(bigint) IS
    'The sum as a whole number: sum() makes a numeric of each group, and of each row of a window, which takes longer than the adding.';

-- The program's settings, as the database knows them --------------------------------------------------------------------

CREATE TABLE loyalty.program (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    timezone text NOT NULL,
    allow_debt boolean NOT NULL,
    settled_through date NOT NULL,
    fingerprint text NOT NULL,
    settings jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    zone_since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE loyalty.program IS 'The one program of this database: what its rules depend on.';
COMMENT ON COLUMN loyalty.program.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN loyalty.program.timezone IS 'The zone whose midnights count.';
COMMENT ON COLUMN loyalty.program.allow_debt IS 'Whether a balance may go below zero.';
COMMENT ON COLUMN loyalty.program.settled_through IS 'The latest midnight that a finished expiry run has settled.';
COMMENT ON COLUMN loyalty.program.fingerprint IS 'Hash of the settings that were applied last.';
COMMENT ON COLUMN loyalty.program.settings IS 'The settings that were applied last.';
COMMENT ON COLUMN loyalty.program.applied_at IS 'When they were applied.';
COMMENT ON COLUMN loyalty.program.zone_since IS 'When this zone replaced another one: what was settled before is dated by that.';
INSERT INTO loyalty.program (timezone, allow_debt, settled_through, fingerprint, settings)
VALUES ('UTC', false, '0001-01-01', '', '{}');

CREATE TABLE loyalty.action (
    action text PRIMARY KEY,
    effect text NOT NULL CHECK (
        effect IN ('earn', 'reverse', 'redeem', 'return', 'expire', 'cancel', 'restore', 'adjust', 'none')),
    parameter text,
    validity_days integer CHECK (validity_days > 0),
    feeds_rules boolean NOT NULL DEFAULT false,
    CONSTRAINT points_need_a_parameter CHECK ((effect = 'none') = (parameter IS NULL)),
    CONSTRAINT only_earnings_age CHECK (effect = 'earn' OR validity_days IS NULL)
);
COMMENT ON TABLE loyalty.action IS 'The actions that move a balance or feed an earning rule; any other action is only recorded.';
COMMENT ON COLUMN loyalty.action.action IS 'The name of the action.';
COMMENT ON COLUMN loyalty.action.effect IS 'What it does to the balance.';
COMMENT ON COLUMN loyalty.action.parameter IS 'The parameter that holds the amount of points.';
COMMENT ON COLUMN loyalty.action.validity_days IS 'Calendar days after which points earned by it are due; null: never.';
COMMENT ON COLUMN loyalty.action.feeds_rules IS 'Whether an earning rule reads it.';
INSERT INTO loyalty.action (action, effect, parameter) VALUES
    ('points.reverse', 'reverse', 'points'),
    ('client.activatePromotion', 'redeem', 'promotionRequireRedeemedPoints'),
    ('client.deactivatePromotion', 'return', 'returnedPoints'),
    ('points.expire', 'expire', 'points'),
    ('points.cancel', 'cancel', 'points'),
    ('points.restore', 'restore', 'points'),
    ('points.adjust', 'adjust', 'points');

-- Profiles and accounts -------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.profile (
    profile_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id text NOT NULL UNIQUE CHECK (customer_id <> ''),
    attributes jsonb NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE loyalty.profile IS 'One customer.';
COMMENT ON COLUMN loyalty.profile.profile_id IS 'Our number for the customer.';
COMMENT ON COLUMN loyalty.profile.customer_id IS 'The outside world''s name for the customer.';
COMMENT ON COLUMN loyalty.profile.attributes IS 'What is known of the customer, by name.';
COMMENT ON COLUMN loyalty.profile.tags IS 'Labels given to the customer.';
COMMENT ON COLUMN loyalty.profile.created_at IS 'When the customer was first heard of.';

CREATE TABLE loyalty.account (
    profile_id bigint PRIMARY KEY,
    balance bigint NOT NULL DEFAULT 0,
    booked_by xid8,
    latest_at timestamptz,
    settle_on date,
    award_from timestamptz,
    lock_run_id bigint,
    lock_token uuid,
    lock_expires_at timestamptz
) WITH (fillfactor = 40);
COMMENT ON TABLE loyalty.account IS 'The balance of a profile: the row where a purchase, a promotion and a journey meet.';
COMMENT ON COLUMN loyalty.account.profile_id IS 'Whose account it is.';
COMMENT ON COLUMN loyalty.account.balance IS 'The sum of the points events of the profile; only the ledger changes it.';
COMMENT ON COLUMN loyalty.account.booked_by IS 'The transaction that booked a points event last: who saw it end saw all that is in the balance.';
COMMENT ON COLUMN loyalty.account.latest_at IS 'The latest time of occurrence among its points events.';
COMMENT ON COLUMN loyalty.account.settle_on IS
    'The earliest midnight that may need settling, never too late; null: none does as things stand.';
COMMENT ON COLUMN loyalty.account.award_from IS 'The earliest event that the earning rules have not seen; null: none.';
COMMENT ON COLUMN loyalty.account.lock_run_id IS 'The run that holds the balance, or held it last.';
COMMENT ON COLUMN loyalty.account.lock_token IS 'What that run shows for its lock.';
COMMENT ON COLUMN loyalty.account.lock_expires_at IS 'When the lock ends, or ended; a lock is live until then.';
CREATE INDEX account_settle_on ON loyalty.account (settle_on, profile_id) WHERE settle_on IS NOT NULL;
CREATE INDEX account_award_from ON loyalty.account (profile_id) WHERE award_from IS NOT NULL;

CREATE FUNCTION loyalty.open_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loyalty.account (profile_id) SELECT profile_id FROM added ORDER BY profile_id;
    RETURN NULL;
END $$;
CREATE TRIGGER open_accounts AFTER INSERT ON loyalty.profile
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION loyalty.open_accounts();

CREATE FUNCTION loyalty.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER balance_follows_the_ledger BEFORE UPDATE OF balance ON loyalty.account FOR EACH ROW
WHEN (pg_trigger_depth() = 0 AND NEW.balance IS DISTINCT FROM OLD.balance)
EXECUTE FUNCTION loyalty.refuse('a balance changes only with an event of points');
CREATE TRIGGER accounts_open_empty BEFORE INSERT ON loyalty.account FOR EACH ROW
WHEN (NEW.balance <> 0) EXECUTE FUNCTION loyalty.refuse('a balance changes only with an event of points');
CREATE TRIGGER accounts_stay BEFORE DELETE ON loyalty.account FOR EACH ROW
EXECUTE FUNCTION loyalty.refuse('accounts are never deleted');
CREATE TRIGGER profiles_stay BEFORE DELETE ON loyalty.profile FOR EACH ROW
EXECUTE FUNCTION loyalty.refuse('profiles are never deleted');

-- Events ----------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.event (
    profile_id bigint NOT NULL,
    key uuid NOT NULL,
    action text NOT NULL CHECK (action <> ''),
    occurred_at timestamptz NOT NULL,
    points bigint,
    params jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    refers_to uuid,
    run_id bigint,
    source text NOT NULL DEFAULT '',
    event_id text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (profile_id, key)
) PARTITION BY HASH (profile_id);
COMMENT ON TABLE loyalty.event IS 'Immutable facts about profiles: only ever added to.';
COMMENT ON COLUMN loyalty.event.profile_id IS 'Whom it is about.';
COMMENT ON COLUMN loyalty.event.key IS 'Derived by the writer, so that the same event again is no second one.';
COMMENT ON COLUMN loyalty.event.action IS 'What happened.';
COMMENT ON COLUMN loyalty.event.occurred_at IS 'When it happened.';
COMMENT ON COLUMN loyalty.event.points IS 'By how much it moves the balance; null where it does not.';
COMMENT ON COLUMN loyalty.event.params IS 'Its parameters.';
COMMENT ON COLUMN loyalty.event.refers_to IS 'The key of the event of the same profile that it rewards, reverses, restores or corrects.';
COMMENT ON COLUMN loyalty.event.run_id IS 'The journey run that wrote it.';
COMMENT ON COLUMN loyalty.event.source IS 'Who wrote it.';
COMMENT ON COLUMN loyalty.event.event_id IS 'The writer''s own name for it, where there is one.';
COMMENT ON COLUMN loyalty.event.recorded_at IS 'When it was written here.';

CREATE FUNCTION loyalty.check_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    -- The program before any account: see lock_program.
    PERFORM FROM loyalty.program;
    -- The first one found is taken. With a LIMIT the planner would think that it is found soon, and look up each profile by itself.
    SELECT e.action, e.params, e.points, profile.profile_id IS NULL AS unknown, e.params -> action.parameter AS amount,
           (SELECT customer_id FROM loyalty.profile AS named WHERE named.profile_id = e.profile_id) AS customer
    INTO wrong
    FROM added AS e
    LEFT JOIN loyalty.action USING (action)
    LEFT JOIN loyalty.profile USING (profile_id)  -- an account comes with it, and none of them ever goes
    WHERE profile.profile_id IS NULL
       OR CASE WHEN coalesce(action.effect, 'none') = 'none' THEN e.points IS NOT NULL ELSE e.points IS NULL OR e.points
               IS DISTINCT FROM loyalty.balance_effect(action.effect, loyalty.points_of(e.params -> action.parameter)) END;
    IF FOUND AND wrong.unknown THEN
        RAISE EXCEPTION 'an event of % is about a profile that does not exist', wrong.action
            USING ERRCODE = 'foreign_key_violation';
    ELSIF FOUND THEN
        RAISE EXCEPTION '% of customer %: the amount % cannot move the balance by %', wrong.action, wrong.customer,
            coalesce(wrong.amount::text, '(none)'), coalesce(wrong.points::text, 'nothing')
            USING ERRCODE = 'check_violation', DETAIL = wrong.params::text;
    END IF;
    IF NOT EXISTS (SELECT FROM added JOIN loyalty.action USING (action) WHERE action.effect IN ('reverse', 'restore', 'adjust')) THEN
        RETURN NULL;
    END IF;
    SELECT e.action, (SELECT customer_id FROM loyalty.profile WHERE profile.profile_id = e.profile_id) AS customer
    INTO wrong
    FROM added AS e JOIN loyalty.action USING (action)
    WHERE (action.effect IN ('reverse', 'restore') OR (action.effect = 'adjust' AND e.refers_to IS NOT NULL))
      AND NOT EXISTS (
          SELECT FROM loyalty.event AS target WHERE target.profile_id = e.profile_id AND target.key = e.refers_to)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of customer % must name, in refers_to, an event of the same customer', wrong.action, wrong.customer
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    SELECT e.action, target.action AS target, profile.customer_id AS customer,
           CASE WHEN kind.effect = 'reverse' THEN 'the earning that it reverses' ELSE 'the event that it corrects' END AS instead,
           coalesce(origin.event_id, target.refers_to::text) AS named
    INTO wrong
    FROM added AS e JOIN loyalty.action ON action.action = e.action AND action.effect = 'adjust'
    CROSS JOIN LATERAL (
        SELECT t.action, t.refers_to FROM loyalty.event AS t WHERE t.profile_id = e.profile_id AND t.key = e.refers_to OFFSET 0) AS target
    JOIN loyalty.action AS kind ON kind.action = target.action
    JOIN loyalty.profile ON profile.profile_id = e.profile_id
    LEFT JOIN loyalty.event AS origin ON origin.profile_id = e.profile_id AND origin.key = target.refers_to
    WHERE kind.effect = 'reverse' OR (kind.effect = 'adjust' AND target.refers_to IS NOT NULL)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of customer % corrects a %: correct % instead, %', wrong.action, wrong.customer, wrong.target,
            wrong.instead, wrong.named USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.check_events IS
    'Refuses events whose points are not what action and parameters say, those about nobody, and corrections of corrections or reversals.';

CREATE FUNCTION loyalty.left_of(whose bigint, earning uuid) RETURNS TABLE (points numeric, is_lot boolean)
LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT sum(p.points), bool_or(p.key = earning AND (kind.effect = 'earn' OR (kind.effect = 'adjust' AND p.points > 0)))
    FROM loyalty.event AS p JOIN loyalty.action AS kind USING (action)
    WHERE p.profile_id = whose AND (p.key = earning OR (p.refers_to = earning AND kind.effect IN ('reverse', 'adjust')))
$$;
COMMENT ON FUNCTION loyalty.left_of IS
    'What reversals and corrections have left of an event of the profile, and whether that was earned or given at all; null: there is none.';

CREATE FUNCTION loyalty.book_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    the loyalty.program;
    broke record;
BEGIN
    IF NOT EXISTS (SELECT FROM added JOIN loyalty.action USING (action) WHERE action.effect <> 'none' OR action.feeds_rules) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT the FROM loyalty.program;
    WITH kind AS (
        SELECT e.profile_id, e.action, action.effect, action.validity_days,
               coalesce(sum(e.points), 0) AS points,
               min(e.points) < 0 AS loses,
               max(e.points) > 0 AS gives,
               max(e.occurred_at) FILTER (WHERE e.points IS NOT NULL) AS last_at,
               min(e.occurred_at) FILTER (WHERE e.points IS NOT NULL) AS first_at,
               min(e.occurred_at) FILTER (WHERE action.feeds_rules) AS award_from,
               bool_or(action.effect = 'adjust' AND e.refers_to IS NOT NULL) AS corrects,
               min(e.params ->> 'expires_on') FILTER (WHERE action.effect = 'adjust') AS expires_on,
               e.source = 'rolling_expiry' AS settles,
               max(e.recorded_at) FILTER (WHERE action.effect = 'cancel' AND e.run_id IS NOT NULL) AS cancelled_at
        FROM added AS e JOIN loyalty.action USING (action)
        WHERE action.effect <> 'none' OR action.feeds_rules
        GROUP BY e.profile_id, e.action, action.effect, action.validity_days, settles
    ), change AS (
        SELECT profile_id,
               sum(points) AS points,
               max(last_at) AS last_at,
               max(last_at) FILTER (WHERE NOT settles) AS last_news_at,
               min(first_at) FILTER (WHERE NOT settles) AS first_news_at,
               bool_or(loses AND NOT settles) AS loses,
               bool_or(loses) AS takes,
               bool_or(gives AND effect <> 'restore') AS gives,
               min(award_from) AS award_from,
               max(cancelled_at) AS cancelled_at,
               min(CASE
                   WHEN settles THEN NULL
                   WHEN corrects OR effect = 'expire' THEN date '0001-01-01'
                   WHEN effect = 'earn' THEN loyalty.due_on(first_at, validity_days, the.timezone)
                   WHEN effect IN ('return', 'restore') THEN loyalty.day_after(first_at, the.timezone)
                   WHEN effect = 'adjust' THEN expires_on::date
               END) AS settle_on
        FROM kind GROUP BY profile_id
    ), booked AS (
        UPDATE loyalty.account AS account
        SET balance = account.balance + change.points,
            booked_by = CASE WHEN change.last_at IS NULL THEN account.booked_by ELSE pg_current_xact_id() END,
            latest_at = greatest(account.latest_at, change.last_at),
            award_from = least(account.award_from, change.award_from),
            -- A cancellation ends the lock that it was made under.
            lock_expires_at = least(account.lock_expires_at, change.cancelled_at),
            settle_on = CASE
                -- Told out of order, or a debt: midnights already settled may have to be settled anew.
                WHEN change.first_news_at < account.latest_at
                  OR (change.loses AND change.first_news_at < change.last_news_at AND account.latest_at IS NOT NULL)
                  OR account.balance + change.points < 0
                THEN date '0001-01-01'
                ELSE least(account.settle_on, change.settle_on)
            END
        FROM change WHERE account.profile_id = change.profile_id
        RETURNING account.profile_id, account.balance, change.takes, change.gives
    )
    SELECT profile.customer_id, booked.balance INTO broke
    FROM booked JOIN loyalty.profile USING (profile_id)
    WHERE (booked.takes AND booked.balance < 0 AND NOT the.allow_debt) OR (booked.gives AND booked.balance > 9007199254740992)
    LIMIT 1;
    IF FOUND AND broke.balance < 0 THEN
        RAISE EXCEPTION 'the balance of customer % would be %, and the program allows no debt',
            broke.customer_id, broke.balance USING ERRCODE = 'check_violation';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'the balance of customer % would be %, beyond the largest number that is kept (2^53)',
            broke.customer_id, broke.balance USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT FROM added JOIN loyalty.action USING (action)
        WHERE action.effect IN ('reverse', 'adjust') AND added.points < 0 AND added.refers_to IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    -- What is left of an earning, or of points given, is asked here, where the account is ours.
    SELECT profile.customer_id, e.action, CASE e.effect WHEN 'reverse' THEN 'reverses' ELSE 'corrects' END AS does, lot.points INTO broke
    FROM (
        SELECT DISTINCT added.profile_id, added.refers_to, added.action, action.effect
        FROM added JOIN loyalty.action ON action.action = added.action AND action.effect IN ('reverse', 'adjust')
        WHERE added.points < 0 AND added.refers_to IS NOT NULL
    ) AS e
    CROSS JOIN LATERAL loyalty.left_of(e.profile_id, e.refers_to) AS lot
    JOIN loyalty.profile ON profile.profile_id = e.profile_id
    WHERE coalesce(lot.points < 0 AND (lot.is_lot OR e.effect = 'reverse'), true)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of customer % takes % more than is left of what it %', broke.action, broke.customer_id, -broke.points, broke.does
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.book_events IS
    'Carries new events into the accounts: balance, and what expiry and earning rules have to look at. Refuses what no account can hold.';

DO $$
BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE loyalty.event_%s PARTITION OF loyalty.event FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
    END LOOP;
END $$;

CREATE FUNCTION loyalty.watch_events(moment text, name text, duty text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place regclass;
BEGIN
    -- Statement triggers fire for the table that a statement names: a partition needs its own.
    FOR place IN SELECT relid FROM pg_partition_tree('loyalty.event') LOOP
        EXECUTE format('CREATE TRIGGER %I %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION loyalty.%s', name, moment, place,
                       CASE moment WHEN 'AFTER INSERT' THEN 'REFERENCING NEW TABLE AS added' END, duty);
    END LOOP;
END $$;
COMMENT ON FUNCTION loyalty.watch_events IS
    'The trigger of this name, at this moment (AFTER INSERT, which sees the new rows as added; or BEFORE TRUNCATE), calls the function '
    'once per statement, whichever table the statement names: all events, or one partition of them. Triggers fire in the order of '
    'their names: events are checked, their accounts locked, then booked, and then comes what follows from them.';
SELECT loyalty.watch_events('AFTER INSERT', 'a_check_events', 'check_events()');
SELECT loyalty.watch_events('AFTER INSERT', 'b_book_events', 'book_events()');
SELECT loyalty.watch_events('BEFORE TRUNCATE', 'events_are_not_truncated', $$refuse('events are never deleted')$$);
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON loyalty.event FOR EACH ROW
EXECUTE FUNCTION loyalty.refuse('events are never changed or deleted');

-- Journeys --------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.journey_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journey text NOT NULL,
    run_key text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed', 'failed')),
    as_of timestamptz NOT NULL,
    business_date date NOT NULL,
    definitions jsonb NOT NULL,
    fingerprint text NOT NULL,
    member_count bigint NOT NULL DEFAULT 0,
    points bigint NOT NULL DEFAULT 0,
    shortfall bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    UNIQUE (journey, run_key)
);
COMMENT ON TABLE loyalty.journey_run IS 'One run of a journey, and what it was computed from.';
COMMENT ON COLUMN loyalty.journey_run.run_id IS 'Our number for the run.';
COMMENT ON COLUMN loyalty.journey_run.journey IS 'Which journey ran.';
COMMENT ON COLUMN loyalty.journey_run.run_key IS 'The starter''s name for the run; a retry comes with the same.';
COMMENT ON COLUMN loyalty.journey_run.state IS 'How far it is.';
COMMENT ON COLUMN loyalty.journey_run.as_of IS 'The instant it speaks about.';
COMMENT ON COLUMN loyalty.journey_run.business_date IS 'The local day that begins then, or in which that instant lies.';
COMMENT ON COLUMN loyalty.journey_run.definitions IS 'The definitions it was frozen with.';
COMMENT ON COLUMN loyalty.journey_run.fingerprint IS 'Their hash.';
COMMENT ON COLUMN loyalty.journey_run.member_count IS 'How many members it had when it finished.';
COMMENT ON COLUMN loyalty.journey_run.points IS 'Points it took, net of what it gave back.';
COMMENT ON COLUMN loyalty.journey_run.shortfall IS 'Points that were due and no longer there to take.';
COMMENT ON COLUMN loyalty.journey_run.started_at IS 'When it started.';
COMMENT ON COLUMN loyalty.journey_run.finished_at IS 'When it last finished.';

CREATE TABLE loyalty.journey_member (
    run_id bigint NOT NULL,
    profile_id bigint NOT NULL,
    state text NOT NULL DEFAULT 'selected' CHECK (state IN ('selected', 'completed', 'failed')),
    reason text,
    points bigint NOT NULL DEFAULT 0,
    shortfall bigint NOT NULL DEFAULT 0,
    selected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (run_id, profile_id)
) WITH (fillfactor = 40);
COMMENT ON TABLE loyalty.journey_member IS 'One profile inside one run of a journey.';
COMMENT ON COLUMN loyalty.journey_member.run_id IS 'The run.';
COMMENT ON COLUMN loyalty.journey_member.profile_id IS 'The profile.';
COMMENT ON COLUMN loyalty.journey_member.state IS 'How far the run is with it.';
COMMENT ON COLUMN loyalty.journey_member.reason IS 'Why it failed.';
COMMENT ON COLUMN loyalty.journey_member.points IS 'Points the run took from it, net of what it gave back.';
COMMENT ON COLUMN loyalty.journey_member.shortfall IS 'Points that were due and no longer there to take.';
COMMENT ON COLUMN loyalty.journey_member.selected_at IS 'When it entered the run.';
COMMENT ON COLUMN loyalty.journey_member.finished_at IS 'When the run was done with it.';

CREATE FUNCTION loyalty.measure_members(the_run bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of few, any plan is good.
    IF EXISTS (SELECT FROM loyalty.journey_member WHERE run_id = the_run OFFSET 1000) THEN
        ANALYZE loyalty.journey_member (run_id, profile_id, state);
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.measure_members IS 'The planner knows how many members the run has, and which profiles they are.';

CREATE TRIGGER runs_stay BEFORE DELETE ON loyalty.journey_run FOR EACH ROW
EXECUTE FUNCTION loyalty.refuse('runs are never deleted');

-- Settling midnights ----------------------------------------------------------------------------------------------------

CREATE VIEW loyalty.points_entry AS
WITH fact AS (
    SELECT e.profile_id, e.key, e.action, action.effect, e.points, e.occurred_at, e.recorded_at, program.timezone AS zone,
           CASE
               WHEN action.effect = 'adjust' AND kind.effect <> 'none' THEN target.occurred_at
               -- Nothing is taken from an earning before there is one.
               WHEN action.effect = 'reverse' THEN greatest(e.occurred_at, target.occurred_at)
               ELSE e.occurred_at
           END AS at,
           CASE
               WHEN action.effect IN ('earn', 'reverse') THEN 'collected'
               WHEN action.effect = 'expire' OR (action.effect = 'restore' AND kind.effect = 'expire') THEN 'expired'
               WHEN action.effect <> 'adjust' THEN 'used'
               WHEN kind.effect IN ('earn', 'reverse') OR (kind.effect = 'adjust' AND target.points > 0) THEN 'collected'
               WHEN coalesce(kind.effect, 'none') = 'none' AND e.points > 0 THEN 'collected'
               ELSE 'used'
           END AS side,
           CASE
               WHEN action.effect = 'earn' THEN loyalty.due_on(e.occurred_at, action.validity_days, program.timezone)
               WHEN kind.effect = 'earn' THEN loyalty.due_on(target.occurred_at, kind.validity_days, program.timezone)
               WHEN kind.effect = 'adjust' THEN (target.params ->> 'expires_on')::date
               WHEN action.effect = 'adjust' THEN (e.params ->> 'expires_on')::date
           END AS due_on,
           CASE WHEN action.effect = 'reverse' OR kind.effect IN ('earn', 'adjust') THEN target.key ELSE e.key END AS lot_key,
           CASE WHEN action.effect = 'reverse' OR kind.effect IN ('earn', 'adjust') THEN target.occurred_at ELSE e.occurred_at END AS opened_at,
           CASE WHEN action.effect IN ('expire', 'restore') THEN e.params ->> 'midnight' END::date AS midnight
    FROM loyalty.event AS e
    JOIN loyalty.action ON action.action = e.action AND action.effect <> 'none'
    CROSS JOIN loyalty.program
    -- A look-up, and only where there is something to look up: without such an event no partition is even chosen.
    LEFT JOIN LATERAL (
        SELECT t.key, t.action, t.occurred_at, t.points, t.params
        FROM (SELECT WHERE action.effect IN ('reverse', 'restore', 'adjust') OFFSET 0) AS needed
        CROSS JOIN loyalty.event AS t WHERE t.profile_id = e.profile_id AND t.key = e.refers_to
        OFFSET 0) AS target ON true
    LEFT JOIN loyalty.action AS kind ON kind.action = target.action
)
SELECT profile_id, key, action, effect, occurred_at, recorded_at, points, side, at,
       CASE WHEN side = 'collected' THEN points ELSE -points END AS amount,
       CASE WHEN side = 'expired' THEN coalesce(midnight, timezone(zone, at)::date) ELSE loyalty.day_after(at, zone) END AS counts_on,
       CASE WHEN side = 'collected' THEN due_on END AS due_on,
       CASE WHEN side = 'collected' AND effect = 'reverse' AND due_on IS NOT NULL THEN greatest(due_on, loyalty.day_after(at, zone))
            WHEN side = 'collected' THEN due_on END AS matures_on,
       CASE WHEN side = 'collected' THEN lot_key END AS lot_key, CASE WHEN side = 'collected' THEN opened_at END AS opened_at
FROM fact;
COMMENT ON VIEW loyalty.points_entry IS
    'Each points event as one entry on a side of the account: what was collected (into which lot, and since when there is one), used or expired, from which midnight on, and when it is due.';

CREATE VIEW loyalty.lot AS
WITH lost AS (
    SELECT profile_id, sum(amount) AS points FROM loyalty.points_entry WHERE side <> 'collected' GROUP BY profile_id
), earned AS (
    SELECT profile_id, lot_key, min(opened_at) AS earned_at, min(due_on) AS due_on, sum(amount) AS points
    FROM loyalty.points_entry WHERE side = 'collected' GROUP BY profile_id, lot_key
), stacked AS (
    SELECT earned.*, sum(earned.points) OVER (
        PARTITION BY profile_id ORDER BY due_on NULLS LAST, earned_at, lot_key ROWS UNBOUNDED PRECEDING) AS points_so_far
    FROM earned
)
SELECT stacked.profile_id, lot_key AS key, earned_at, due_on, stacked.points::bigint AS points,
       greatest(0, least(stacked.points, points_so_far - coalesce(lost.points, 0)))::bigint AS remaining
FROM stacked LEFT JOIN lost ON lost.profile_id = stacked.profile_id;
COMMENT ON VIEW loyalty.lot IS
    'What is left of each earning: all losses of a profile are charged to its soonest-expiring points; nothing of it is stored.';

CREATE FUNCTION loyalty.settlement(
    ids bigint[], less_profile bigint[] DEFAULT '{}', less_key uuid[] DEFAULT '{}', less_points bigint[] DEFAULT '{}',
    less_at timestamptz[] DEFAULT '{}')
RETURNS TABLE (profile_id bigint, midnight date, demanded bigint, recorded bigint, entry_count bigint, unspent bigint)
LANGUAGE sql STABLE ROWS 1000 AS $$
    WITH entry AS (
        SELECT e.profile_id, e.at, e.counts_on, e.matures_on,
               CASE e.side WHEN 'collected' THEN e.amount WHEN 'used' THEN -e.amount ELSE 0 END AS flow,
               CASE e.side WHEN 'used' THEN e.amount ELSE 0 END AS used,
               CASE e.side WHEN 'collected' THEN e.amount ELSE 0 END AS matured,
               CASE e.side WHEN 'expired' THEN e.amount ELSE 0 END AS expired,
               (e.side = 'expired')::int AS is_expiry
        FROM unnest(ids) AS wanted(profile_id)
        -- OFFSET 0 keeps it one look-up for each profile, in its partition.
        CROSS JOIN LATERAL (SELECT * FROM loyalty.points_entry AS p WHERE p.profile_id = wanted.profile_id OFFSET 0) AS e
        UNION ALL
        SELECT e.profile_id, coalesce(less.at, e.at), coalesce(less.counts_on, e.counts_on),
               CASE WHEN e.due_on IS NOT NULL THEN greatest(e.due_on, less.counts_on) END, -less.points, 0, -less.points, 0, 0
        FROM (
            SELECT less.*, loyalty.day_after(less.at, program.timezone) AS counts_on
            FROM unnest(less_profile, less_key, less_points, less_at) AS less(profile_id, key, points, at) CROSS JOIN loyalty.program
        ) AS less
        CROSS JOIN LATERAL (
            SELECT * FROM loyalty.points_entry AS p WHERE p.profile_id = less.profile_id AND p.key = less.key OFFSET 0) AS e
    ), step AS (
        SELECT e.profile_id, e.counts_on AS midnight, e.at, e.flow, -e.used AS unspent, e.expired, e.is_expiry FROM entry AS e
        UNION ALL
        SELECT e.profile_id, e.matures_on, 'infinity', 0, e.matured, 0, 0 FROM entry AS e WHERE e.matures_on IS NOT NULL
    ), forward AS (
        -- What happens at one moment is one step: each of its rows has the sums of all. The last row of a midnight closes it.
        SELECT s.profile_id, s.midnight, s.at, loyalty.total(s.flow) OVER past AS held, loyalty.total(s.unspent) OVER past AS unspent,
               loyalty.total(s.expired) OVER past AS recorded, sum(s.is_expiry) OVER past AS entry_count,
               lead(s.midnight) OVER past IS DISTINCT FROM s.midnight AS closes
        FROM step AS s WINDOW past AS (PARTITION BY s.profile_id ORDER BY s.midnight, s.at)
    ), backward AS (
        SELECT f.*, min(f.held) OVER (PARTITION BY f.profile_id ORDER BY f.midnight DESC, f.at DESC) AS room FROM forward AS f
    )
    SELECT n.profile_id, n.midnight, max(greatest(0, least(n.unspent, n.room))) OVER nights,
           n.recorded - lag(n.recorded, 1, 0::bigint) OVER nights, n.entry_count - lag(n.entry_count, 1, 0::bigint) OVER nights,
           n.unspent
    FROM backward AS n WHERE n.closes WINDOW nights AS (PARTITION BY n.profile_id ORDER BY n.midnight)
$$;
COMMENT ON FUNCTION loyalty.settlement IS
    'For each profile and each midnight at which anything changes: what must have expired by then in all (demanded), what was '
    'recorded for that midnight alone, in how many entries, and what was matured and not used (unspent). '
    'The last four arguments take points out of earnings: from an instant on, or (null) as if they had never been earned.';

CREATE FUNCTION loyalty.settlement_key(profile_id bigint, midnight date, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN md5('settlement:' || profile_id::text || ':' || (midnight - date '0001-01-01')::text || ':' || n::text)::uuid;
COMMENT ON FUNCTION loyalty.settlement_key IS
    'The key of the n-th entry that settles a midnight; the first is always the expiry, and a restore names it.';

CREATE FUNCTION loyalty.points_kept(award jsonb, kept numeric, whole numeric) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
    WHEN kept = 0 THEN 0
    -- Multiplied first, divided last and without a fraction: nothing is rounded before it is rounded down.
    WHEN award ? 'points_per_unit' THEN least(
        loyalty.points_of(award -> 'points'),
        div(loyalty.number_of(award -> 'points_per_unit') * loyalty.number_of(award -> 'amount') * kept, whole))::bigint
    ELSE loyalty.points_of(award -> 'points')
END;
COMMENT ON FUNCTION loyalty.points_kept IS
    'The points that an award, with these parameters, would have been for what is kept of the whole amount of its charge.';
