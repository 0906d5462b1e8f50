-- Batch cancellation: promotions and their activations, locks, and runs that ask, wait and take.

-- Actions that change states instead of balances --------------------------------------------------------------------------

ALTER TABLE loyalty.action ADD COLUMN is_signal boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN loyalty.action.is_signal IS 'Whether it changes the state of a lock or a promotion, and the balance not.';
INSERT INTO loyalty.action (action, effect, is_signal) VALUES
    ('points.locked', 'none', true), ('points.engineError', 'none', true), ('client.redeemPromotion', 'none', true);

-- Promotions --------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.promotion (
    promotion text PRIMARY KEY CHECK (promotion <> ''),
    title text NOT NULL,
    required_points bigint NOT NULL CHECK (required_points > 0),
    valid_from date,
    valid_to date,
    valid_days integer CHECK (valid_days > 0),
    is_offered boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE loyalty.promotion IS 'What customers may pay points for.';
COMMENT ON COLUMN loyalty.promotion.promotion IS 'Its name.';
COMMENT ON COLUMN loyalty.promotion.title IS 'How people call it.';
COMMENT ON COLUMN loyalty.promotion.required_points IS 'What an activation costs.';
COMMENT ON COLUMN loyalty.promotion.valid_from IS 'The first local day on which it may be activated; null: any.';
COMMENT ON COLUMN loyalty.promotion.valid_to IS 'The last local day on which it may be activated and redeemed; null: any.';
COMMENT ON COLUMN loyalty.promotion.valid_days IS 'Calendar days after which an activation lapses; null: only with valid_to.';
COMMENT ON COLUMN loyalty.promotion.is_offered IS 'Whether the program still has it.';

CREATE TABLE loyalty.promotion_activation (
    profile_id bigint NOT NULL,
    activation uuid NOT NULL,
    promotion text NOT NULL,
    points bigint NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'redeemed', 'deactivating', 'deactivated', 'lapsed')),
    activated_at timestamptz NOT NULL,
    lapses_at timestamptz,
    run_id bigint,
    ended_at timestamptz,
    PRIMARY KEY (profile_id, activation)
);
COMMENT ON TABLE loyalty.promotion_activation IS 'A promotion that a customer has paid for, and what became of it.';
COMMENT ON COLUMN loyalty.promotion_activation.profile_id IS 'Whose it is.';
COMMENT ON COLUMN loyalty.promotion_activation.activation IS 'The key of the event client.activatePromotion.';
COMMENT ON COLUMN loyalty.promotion_activation.promotion IS 'The promotion.';
COMMENT ON COLUMN loyalty.promotion_activation.points IS 'What was paid for it.';
COMMENT ON COLUMN loyalty.promotion_activation.state IS 'How far it is.';
COMMENT ON COLUMN loyalty.promotion_activation.activated_at IS 'When it was paid for.';
COMMENT ON COLUMN loyalty.promotion_activation.lapses_at IS 'When it is worth nothing any more; null: never.';
COMMENT ON COLUMN loyalty.promotion_activation.run_id IS 'The run that asked for its deactivation.';
COMMENT ON COLUMN loyalty.promotion_activation.ended_at IS 'When it was redeemed, deactivated or seen to have lapsed.';
CREATE INDEX promotion_activation_open ON loyalty.promotion_activation (profile_id)
    WHERE state IN ('active', 'deactivating');

-- Keys are built from ::text: only then can the planner put the expression in the place of the function.
-- Locks and members -------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.lock_token(run_id bigint, profile_id bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN md5('lock:' || run_id::text || ':' || profile_id::text)::uuid;
COMMENT ON FUNCTION loyalty.lock_token IS 'What a confirmation shows to be one of this run''s request.';
CREATE FUNCTION loyalty.cancel_key(run_id bigint, profile_id bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN md5('cancel:' || run_id::text || ':' || profile_id::text)::uuid;
COMMENT ON FUNCTION loyalty.cancel_key IS 'The one key that a run''s cancellation of a profile''s points may have.';
CREATE FUNCTION loyalty.restore_key(cancel_key uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN md5('restore:' || cancel_key::text)::uuid;
COMMENT ON FUNCTION loyalty.restore_key IS 'The one key that the restore of a cancellation may have.';

CREATE TRIGGER live_locks_are_not_stolen BEFORE UPDATE OF lock_run_id ON loyalty.account FOR EACH ROW
WHEN (OLD.lock_expires_at > clock_timestamp() AND NEW.lock_run_id IS DISTINCT FROM OLD.lock_run_id)
EXECUTE FUNCTION loyalty.refuse('the balance is locked by another run');

ALTER TABLE loyalty.journey_run DROP CONSTRAINT journey_run_state_check;
ALTER TABLE loyalty.journey_run ADD CONSTRAINT journey_run_state_check CHECK (
    state IN ('running', 'previewed', 'rejected', 'completed', 'failed'));
ALTER TABLE loyalty.journey_run
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN audience_of bigint REFERENCES loyalty.journey_run,
    ADD COLUMN frozen_at timestamptz,
    ADD COLUMN frozen_snapshot pg_snapshot,
    ADD COLUMN spared_from timestamptz,
    ADD COLUMN decision text CHECK (decision IN ('approved', 'rejected', 'not needed')),
    ADD COLUMN decided_by text,
    ADD COLUMN decided_at timestamptz,
    ADD COLUMN failed_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN returned bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN loyalty.journey_run.settings IS 'What its starter asked for, defaults included.';
COMMENT ON COLUMN loyalty.journey_run.audience_of IS 'The run whose members it takes up again, or whose points it gives back.';
COMMENT ON COLUMN loyalty.journey_run.frozen_at IS 'When its members and amounts were frozen; what is recorded later is news.';
COMMENT ON COLUMN loyalty.journey_run.frozen_snapshot IS 'The transactions that it saw when it was frozen: an account booked by one of them last is as it was then.';
COMMENT ON COLUMN loyalty.journey_run.spared_from IS 'Points earned from then on are spared.';
COMMENT ON COLUMN loyalty.journey_run.decision IS 'What was decided after the preview.';
COMMENT ON COLUMN loyalty.journey_run.decided_by IS 'By whom.';
COMMENT ON COLUMN loyalty.journey_run.decided_at IS 'When.';
COMMENT ON COLUMN loyalty.journey_run.failed_count IS 'How many of its members failed.';
COMMENT ON COLUMN loyalty.journey_run.returned IS 'Points that deactivated promotions gave back under its locks.';

CREATE TABLE loyalty.journey_chunk (
    run_id bigint NOT NULL REFERENCES loyalty.journey_run,
    chunk integer NOT NULL,
    first_profile_id bigint NOT NULL,
    last_profile_id bigint NOT NULL,
    lock_deadline_at timestamptz,
    deactivation_deadline_at timestamptz,
    PRIMARY KEY (run_id, chunk)
);
COMMENT ON TABLE loyalty.journey_chunk IS 'A run''s members from one profile to another: what one task works on.';
COMMENT ON COLUMN loyalty.journey_chunk.run_id IS 'The run.';
COMMENT ON COLUMN loyalty.journey_chunk.chunk IS 'Its place among the run''s chunks, from 0.';
COMMENT ON COLUMN loyalty.journey_chunk.first_profile_id IS 'The first member.';
COMMENT ON COLUMN loyalty.journey_chunk.last_profile_id IS 'The last member.';
COMMENT ON COLUMN loyalty.journey_chunk.lock_deadline_at IS 'Until when confirmations of locks are waited for.';
COMMENT ON COLUMN loyalty.journey_chunk.deactivation_deadline_at IS 'Until when deactivations of promotions are waited for.';

ALTER TABLE loyalty.journey_member DROP CONSTRAINT journey_member_state_check;
ALTER TABLE loyalty.journey_member ADD CONSTRAINT journey_member_state_check CHECK (
    state IN ('selected', 'lock_requested', 'locked', 'deactivating', 'completed', 'failed'));
ALTER TABLE loyalty.journey_member
    ADD CONSTRAINT failed_has_a_reason CHECK ((state = 'failed') = (reason IS NOT NULL)),
    ADD COLUMN detail text,
    ADD COLUMN approved bigint NOT NULL DEFAULT 0,
    ADD COLUMN returned bigint NOT NULL DEFAULT 0,
    ADD COLUMN lock_requested_at timestamptz,
    ADD COLUMN locked_at timestamptz,
    ADD COLUMN lock_expires_at timestamptz,
    ADD COLUMN released_at timestamptz,
    ADD COLUMN balance_locked bigint,
    ADD COLUMN balance_after bigint;
COMMENT ON COLUMN loyalty.journey_member.detail IS 'More about the reason, in words.';
COMMENT ON COLUMN loyalty.journey_member.approved IS 'Points to cancel as they were frozen, which the preview showed.';
COMMENT ON COLUMN loyalty.journey_member.returned IS 'Points that its deactivated promotions gave back under the lock.';
COMMENT ON COLUMN loyalty.journey_member.lock_requested_at IS 'When the points engine was asked to lock the balance.';
COMMENT ON COLUMN loyalty.journey_member.locked_at IS 'When the lock was confirmed.';
COMMENT ON COLUMN loyalty.journey_member.lock_expires_at IS 'When the lock ends by itself.';
COMMENT ON COLUMN loyalty.journey_member.released_at IS 'When the run let go of it.';
COMMENT ON COLUMN loyalty.journey_member.balance_locked IS 'The balance when the lock was confirmed.';
COMMENT ON COLUMN loyalty.journey_member.balance_after IS 'The balance just after the deduction.';

CREATE FUNCTION loyalty.fail_members(the_run bigint, ids bigint[], why text, words text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz;
    failed_count bigint;
BEGIN
    -- In a statement of its own: the next one must see what those wrote who held the accounts before.
    PERFORM FROM loyalty.account WHERE profile_id = ANY (ids) ORDER BY profile_id FOR NO KEY UPDATE;
    now := clock_timestamp();
    WITH failed AS (
        UPDATE loyalty.journey_member AS member
        SET state = 'failed', reason = why, detail = words, finished_at = now,
            released_at = CASE WHEN lock_requested_at IS NOT NULL THEN now END
        WHERE member.run_id = the_run AND member.profile_id = ANY (ids) AND member.state NOT IN ('completed', 'failed')
        RETURNING member.profile_id, member.lock_requested_at
    ), let_go AS (
        UPDATE loyalty.account SET lock_expires_at = now
        FROM failed WHERE account.profile_id = failed.profile_id AND account.lock_run_id = the_run AND account.lock_expires_at > now
    ), kept AS (
        UPDATE loyalty.promotion_activation AS activation SET state = 'active', run_id = NULL
        FROM failed WHERE activation.profile_id = failed.profile_id AND activation.state = 'deactivating' AND activation.run_id = the_run
    ), told AS (
        INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, run_id, source, recorded_at)
        SELECT profile_id, md5('unlocked:' || loyalty.lock_token(the_run, profile_id))::uuid, 'points.unlocked', now,
               jsonb_build_object('token', loyalty.lock_token(the_run, profile_id), 'reason', why), the_run, 'batch_cancellation', now
        FROM failed WHERE lock_requested_at IS NOT NULL ORDER BY profile_id
        ON CONFLICT (profile_id, key) DO NOTHING
    )
    SELECT count(*) INTO failed_count FROM failed;
    RETURN failed_count;
END $$;
COMMENT ON FUNCTION loyalty.fail_members IS
    'These members of the run have failed for that reason, unless they had ended: their locks are released, and told to be '
    '(points.unlocked); promotions whose deactivation was only asked for are active again. Returns how many failed just now.';

-- Booking, with locks ------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.lock_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    spending bigint[];
    taken_by bigint[];
    taken_from bigint[];
    how text[];
    wrong record;
BEGIN
    -- Lock order of the whole system: accounts, ascending. What a run tells besides points is about accounts that it locked before.
    SELECT array_agg(held.profile_id) FILTER (WHERE held.spends), array_agg(held.run_id) FILTER (WHERE held.how IS NOT NULL),
           array_agg(held.profile_id) FILTER (WHERE held.how IS NOT NULL), array_agg(held.how) FILTER (WHERE held.how IS NOT NULL)
    INTO spending, taken_by, taken_from, how
    FROM (
        SELECT told.profile_id, told.run_id, told.spent_at < account.lock_expires_at AS spends,
               CASE WHEN told.run_id IS NULL THEN NULL
                    WHEN account.lock_run_id IS DISTINCT FROM told.run_id OR told.cancelled_at >= account.lock_expires_at
                        THEN 'without a live lock of its own'
                    WHEN told.has_another_key THEN 'under a key that is not the one it must have' END AS how
        FROM (
            SELECT e.profile_id,
                   min(least(e.recorded_at, clock_timestamp())) FILTER (WHERE action.effect IN ('redeem', 'return') AND e.run_id IS NULL) AS spent_at,
                   max(e.run_id) FILTER (WHERE action.effect = 'cancel') AS run_id,
                   max(e.recorded_at) FILTER (WHERE action.effect = 'cancel' AND e.run_id IS NOT NULL) AS cancelled_at,
                   bool_or(action.effect = 'cancel' AND e.key <> loyalty.cancel_key(e.run_id, e.profile_id)) AS has_another_key
            FROM added AS e JOIN loyalty.action USING (action)
            WHERE e.run_id IS NULL OR action.effect <> 'none'
            GROUP BY e.profile_id
        ) AS told JOIN loyalty.account USING (profile_id)
        ORDER BY account.profile_id FOR NO KEY UPDATE OF account
    ) AS held;
    IF how IS NOT NULL THEN
        RAISE EXCEPTION 'run % cancels points of customer % %', taken_by[1],
            (SELECT customer_id FROM loyalty.profile WHERE profile_id = taken_from[1]), how[1] USING ERRCODE = 'check_violation';
    ELSIF spending IS NULL THEN
        RETURN NULL;
    END IF;
    -- A customer's event that was recorded while a lock was live, and had to wait for its end, is refused as well. What a
    -- run asked for is not the customer's.
    SELECT profile.customer_id, account.lock_expires_at INTO wrong
    FROM added AS e JOIN loyalty.action USING (action) JOIN loyalty.account USING (profile_id) JOIN loyalty.profile USING (profile_id)
    WHERE e.profile_id = ANY (spending) AND action.effect IN ('redeem', 'return') AND e.run_id IS NULL
      AND least(e.recorded_at, clock_timestamp()) < account.lock_expires_at
      AND NOT EXISTS (
          SELECT FROM loyalty.promotion_activation AS asked
          WHERE asked.profile_id = e.profile_id AND asked.activation = e.refers_to AND asked.run_id = account.lock_run_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the balance of customer % is locked until %', wrong.customer_id,
            to_char(timezone('UTC', wrong.lock_expires_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'LY423', DETAIL = wrong.lock_expires_at::text;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.lock_accounts IS
    'The rows of all accounts concerned are ours; what a customer starts while the balance is locked is refused, and so is a run''s '
    'cancellation outside its own live lock.';

CREATE FUNCTION loyalty.confirm_locks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := clock_timestamp();
BEGIN
    -- Where this database is the points engine, the run locks by itself, and only tells.
    IF NOT EXISTS (SELECT FROM added WHERE action = 'points.locked' AND run_id IS NULL) THEN
        RETURN NULL;
    END IF;
    WITH answer AS (
        SELECT DISTINCT ON (e.profile_id) e.profile_id, member.run_id, member.lock_expires_at
        FROM added AS e JOIN loyalty.journey_member AS member
            ON member.run_id = loyalty.points_of(e.params -> 'run') AND member.profile_id = e.profile_id
        WHERE e.action = 'points.locked' AND e.run_id IS NULL AND member.state = 'lock_requested' AND member.lock_expires_at > now
          AND loyalty.lock_token(member.run_id, member.profile_id)::text IN (e.key::text, e.params ->> 'token')
        ORDER BY e.profile_id, member.run_id
    ), held AS (
        UPDATE loyalty.account
        SET lock_run_id = answer.run_id, lock_token = loyalty.lock_token(answer.run_id, answer.profile_id),
            lock_expires_at = answer.lock_expires_at
        FROM answer
        WHERE account.profile_id = answer.profile_id AND coalesce(account.lock_expires_at <= now, true)
        RETURNING account.profile_id, account.lock_run_id, account.balance
    )
    UPDATE loyalty.journey_member AS member SET state = 'locked', locked_at = now, balance_locked = held.balance
    FROM held WHERE member.run_id = held.lock_run_id AND member.profile_id = held.profile_id;
    -- An answer that comes after its member has failed changes nothing, and is answered by a release.
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, run_id, source)
    SELECT e.profile_id, md5('unlocked:' || e.key)::uuid, 'points.unlocked', now,
           jsonb_build_object('token', loyalty.lock_token(member.run_id, member.profile_id), 'reason', member.reason),
           member.run_id, 'batch_cancellation'
    FROM added AS e JOIN loyalty.journey_member AS member
        ON member.run_id = loyalty.points_of(e.params -> 'run') AND member.profile_id = e.profile_id
    WHERE e.action = 'points.locked' AND e.run_id IS NULL AND member.state = 'failed'
      AND loyalty.lock_token(member.run_id, member.profile_id)::text IN (e.key::text, e.params ->> 'token')
    ORDER BY e.profile_id
    ON CONFLICT (profile_id, key) DO NOTHING;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.confirm_locks IS
    'A confirmation (points.locked, showing the token of a request) makes the lock live and its member locked, unless another '
    'live lock is there or the request has ended.';

CREATE FUNCTION loyalty.follow_promotions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE action IN (
        'client.activatePromotion', 'client.redeemPromotion', 'client.deactivatePromotion')) THEN
        RETURN NULL;
    END IF;
    INSERT INTO loyalty.promotion_activation (profile_id, activation, promotion, points, activated_at, lapses_at)
    SELECT e.profile_id, e.key, e.params ->> 'promotion', -e.points, e.occurred_at, least(
        loyalty.local_instant(timezone(program.timezone, e.occurred_at) + make_interval(days => promotion.valid_days), program.timezone),
        loyalty.midnight(promotion.valid_to + 1, program.timezone))
    FROM added AS e CROSS JOIN loyalty.program LEFT JOIN loyalty.promotion ON promotion.promotion = e.params ->> 'promotion'
    WHERE e.action = 'client.activatePromotion' AND e.params ? 'promotion'
    ORDER BY e.profile_id, e.key;
    SELECT e.action, profile.customer_id, activation.promotion,
           CASE WHEN activation.state NOT IN ('active', 'deactivating') THEN format('is %s already', activation.state)
                WHEN e.count > 1 THEN 'ends twice at once'
                WHEN e.points <> activation.points THEN format('cost %s points, and not %s', activation.points, e.points)
                ELSE 'is being deactivated' END AS how
    INTO wrong
    FROM (
        SELECT *, count(*) OVER (PARTITION BY added.profile_id, added.refers_to) AS count FROM added
        WHERE added.action IN ('client.redeemPromotion', 'client.deactivatePromotion')
    ) AS e
    JOIN loyalty.promotion_activation AS activation ON activation.profile_id = e.profile_id AND activation.activation = e.refers_to
    JOIN loyalty.profile ON profile.profile_id = e.profile_id
    WHERE e.count > 1 OR e.points <> activation.points
       OR activation.state NOT IN ('active', CASE e.action WHEN 'client.deactivatePromotion' THEN 'deactivating' ELSE 'active' END)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of customer %: the promotion % %', wrong.action, wrong.customer_id, wrong.promotion, wrong.how
            USING ERRCODE = 'LY409';
    END IF;
    UPDATE loyalty.promotion_activation AS activation
    SET state = CASE e.action WHEN 'client.redeemPromotion' THEN 'redeemed' ELSE 'deactivated' END, ended_at = e.occurred_at
    FROM added AS e
    WHERE e.action IN ('client.redeemPromotion', 'client.deactivatePromotion')
      AND activation.profile_id = e.profile_id AND activation.activation = e.refers_to;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.follow_promotions IS 'Carries what happens to promotions into their activations, and refuses what cannot have happened.';

CREATE FUNCTION loyalty.hear_engines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    failure record;
BEGIN
    -- Whoever pays does not look for members, of which there may be millions that nobody has measured yet.
    IF NOT EXISTS (SELECT FROM added WHERE action = 'points.engineError') THEN
        RETURN NULL;
    END IF;
    FOR failure IN
        SELECT member.run_id, array_agg(e.profile_id ORDER BY e.profile_id) AS ids, e.params ->> 'message' AS words
        FROM added AS e JOIN loyalty.journey_member AS member
            ON member.run_id = coalesce(e.run_id, loyalty.points_of(e.params -> 'run')) AND member.profile_id = e.profile_id
        WHERE e.action = 'points.engineError' AND member.state IN ('lock_requested', 'locked', 'deactivating')
          AND e.params ->> 'token' = loyalty.lock_token(member.run_id, member.profile_id)::text
        GROUP BY member.run_id, words
    LOOP
        PERFORM loyalty.fail_members(failure.run_id, failure.ids, 'engine_error', failure.words);
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.hear_engines IS 'A points engine that says that it cannot (points.engineError) fails the member.';

SELECT loyalty.watch_events('AFTER INSERT', 'a_lock_accounts', 'lock_accounts()');
SELECT loyalty.watch_events('AFTER INSERT', 'c_confirm_locks', 'confirm_locks()');
SELECT loyalty.watch_events('AFTER INSERT', 'd_follow_promotions', 'follow_promotions()');
SELECT loyalty.watch_events('AFTER INSERT', 'e_hear_engines', 'hear_engines()');

-- What a shop calls -------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.refuse_while_locked(customer text, until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF until > clock_timestamp() THEN
        RAISE EXCEPTION 'the balance of customer % is locked until %', customer,
            to_char(timezone('UTC', until), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'LY423', DETAIL = until::text;
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.refuse_while_locked IS 'The lock that ends then has ended, or there is none; else LY423.';

CREATE FUNCTION loyalty.own_account(customer text, refuse_locked boolean) RETURNS loyalty.account
LANGUAGE plpgsql AS $$
DECLARE
    own loyalty.account;
BEGIN
    IF refuse_locked THEN
        -- At once: whoever holds the row may be the run that locked the balance, and be busy for a while.
        PERFORM loyalty.refuse_while_locked(customer, lock_expires_at)
        FROM loyalty.account JOIN loyalty.profile USING (profile_id) WHERE profile.customer_id = customer;
    END IF;
    -- The program before any account: see lock_program.
    SELECT account.* INTO own FROM loyalty.program CROSS JOIN loyalty.account JOIN loyalty.profile USING (profile_id)
    WHERE profile.customer_id = customer FOR NO KEY UPDATE OF account;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no customer % is known', to_json(customer) USING ERRCODE = 'LY404';
    ELSIF refuse_locked THEN
        PERFORM loyalty.refuse_while_locked(customer, own.lock_expires_at);
    END IF;
    RETURN own;
END $$;
COMMENT ON FUNCTION loyalty.own_account IS
    'The customer''s account, its row ours until the transaction ends. Refused: LY404 unknown, and where that is wanted LY423 locked.';

CREATE FUNCTION loyalty.known_activation(customer text, the_promotion text, event_key uuid) RETURNS loyalty.promotion_activation
LANGUAGE plpgsql AS $$
DECLARE
    made loyalty.promotion_activation;
BEGIN
    SELECT activation.* INTO made FROM loyalty.promotion_activation AS activation JOIN loyalty.profile USING (profile_id)
    WHERE profile.customer_id = customer AND activation.activation = event_key;
    IF made.promotion <> the_promotion THEN
        RAISE EXCEPTION 'the key % is that of an activation of %, and not of %', event_key, made.promotion, the_promotion
            USING ERRCODE = 'LY409';
    END IF;
    RETURN made;
END $$;
COMMENT ON FUNCTION loyalty.known_activation IS
    'The customer''s activation of this key, null without one. Refused: LY409 it is one of another promotion.';

CREATE FUNCTION loyalty.activate_promotion(customer text, the_promotion text, event_key uuid DEFAULT gen_random_uuid())
RETURNS loyalty.promotion_activation LANGUAGE plpgsql AS $$
DECLARE
    account loyalty.account;
    -- Before anything else that could refuse: the same call again is no second activation.
    made loyalty.promotion_activation := loyalty.known_activation(customer, the_promotion, event_key);
    offer loyalty.promotion;
    today date := (SELECT timezone(timezone, clock_timestamp())::date FROM loyalty.program);
BEGIN
    IF made.activation IS NULL THEN
        account := loyalty.own_account(customer, true);
        -- Once more: the account may have been waited for while the same call made it.
        made := loyalty.known_activation(customer, the_promotion, event_key);
    END IF;
    IF made.activation IS NOT NULL THEN
        RETURN made;
    END IF;
    SELECT * INTO offer FROM loyalty.promotion WHERE promotion = the_promotion AND is_offered;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no promotion %', to_json(the_promotion) USING ERRCODE = 'LY404';
    ELSIF today < offer.valid_from OR today > offer.valid_to THEN
        RAISE EXCEPTION 'the promotion % can be activated from % to %, and today is %', the_promotion,
            coalesce(offer.valid_from::text, 'ever'), coalesce(offer.valid_to::text, 'ever'), today USING ERRCODE = 'LY409';
    ELSIF account.balance < offer.required_points THEN
        RAISE EXCEPTION 'the promotion % costs % points, and customer % has %', the_promotion, offer.required_points, customer,
            account.balance USING ERRCODE = 'LY402';
    END IF;
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source)
    VALUES (account.profile_id, event_key, 'client.activatePromotion', clock_timestamp(), -offer.required_points,
            jsonb_build_object('promotion', the_promotion, 'promotionRequireRedeemedPoints', offer.required_points), 'shop');
    SELECT * INTO STRICT made FROM loyalty.promotion_activation WHERE profile_id = account.profile_id AND activation = event_key;
    RETURN made;
END $$;
COMMENT ON FUNCTION loyalty.activate_promotion IS
    'The customer has paid the promotion''s points and has it active; the same key again is the same activation. Refused, with an '
    'error that says why: LY402 too few points, LY404 unknown, LY409 out of its time, LY423 the balance is locked.';

CREATE FUNCTION loyalty.end_promotion(account loyalty.account, customer text, the_activation uuid, ended_as text)
RETURNS loyalty.promotion_activation LANGUAGE plpgsql AS $$
DECLARE
    held loyalty.promotion_activation;
BEGIN
    SELECT * INTO held FROM loyalty.promotion_activation
    WHERE profile_id = account.profile_id AND activation = the_activation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'customer % has no activation %', customer, the_activation USING ERRCODE = 'LY404';
    ELSIF held.state = ended_as THEN
        RETURN held;
    ELSIF held.state <> 'active' OR held.lapses_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the promotion % of customer % cannot be %: it is %', held.promotion, customer, ended_as,
            CASE WHEN held.state = 'active' THEN 'lapsed' ELSE held.state END USING ERRCODE = 'LY409';
    END IF;
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source)
    VALUES (account.profile_id, md5(ended_as || ':' || the_activation)::uuid,
            CASE ended_as WHEN 'redeemed' THEN 'client.redeemPromotion' ELSE 'client.deactivatePromotion' END, clock_timestamp(),
            CASE ended_as WHEN 'deactivated' THEN held.points END,
            jsonb_build_object('promotion', held.promotion)
                || CASE ended_as WHEN 'deactivated' THEN jsonb_build_object('returnedPoints', held.points) ELSE '{}' END,
            the_activation, 'shop');
    SELECT * INTO STRICT held FROM loyalty.promotion_activation WHERE profile_id = account.profile_id AND activation = the_activation;
    RETURN held;
END $$;
COMMENT ON FUNCTION loyalty.end_promotion IS 'The activation is redeemed or deactivated; it was already, or was active until now.';

CREATE FUNCTION loyalty.redeem_promotion(customer text, the_activation uuid) RETURNS loyalty.promotion_activation
LANGUAGE sql AS $$
    SELECT loyalty.end_promotion(loyalty.own_account(customer, false), customer, the_activation, 'redeemed')
$$;
COMMENT ON FUNCTION loyalty.redeem_promotion IS
    'The customer has got what was paid for, also while the balance is locked; once. Refused: LY404 unknown, LY409 not active any more.';

CREATE FUNCTION loyalty.deactivate_promotion(customer text, the_activation uuid) RETURNS loyalty.promotion_activation
LANGUAGE plpgsql AS $$
DECLARE
    is_over boolean := EXISTS (
        SELECT FROM loyalty.promotion_activation AS held JOIN loyalty.profile USING (profile_id)
        WHERE profile.customer_id = customer AND held.activation = the_activation AND held.state = 'deactivated');
BEGIN
    RETURN loyalty.end_promotion(loyalty.own_account(customer, NOT is_over), customer, the_activation, 'deactivated');
END $$;
COMMENT ON FUNCTION loyalty.deactivate_promotion IS
    'The customer has the promotion''s points back; once. Refused: LY404 unknown, LY409 not active any more, LY423 the balance is locked.';

-- What a points engine is asked -------------------------------------------------------------------------------------------

CREATE VIEW loyalty.lock_request AS
SELECT member.run_id AS run, profile.customer_id, loyalty.lock_token(member.run_id, profile_id) AS token,
       member.lock_requested_at AS requested_at, member.lock_expires_at AS expires_at
FROM loyalty.journey_member AS member JOIN loyalty.profile USING (profile_id)
WHERE member.state = 'lock_requested';
COMMENT ON VIEW loyalty.lock_request IS
    'Balances to be locked: an engine answers with the event points.locked {run, token}, or points.engineError {run, token, message}.';

CREATE VIEW loyalty.deactivation_request AS
SELECT activation.run_id AS run, profile.customer_id, loyalty.lock_token(activation.run_id, profile_id) AS token,
       activation.activation, activation.promotion, activation.points
FROM loyalty.promotion_activation AS activation JOIN loyalty.profile USING (profile_id)
WHERE activation.state = 'deactivating';
COMMENT ON VIEW loyalty.deactivation_request IS
    'Promotions to be deactivated: an engine answers with the event client.deactivatePromotion {returnedPoints} that refers to '
    'the activation, or points.engineError {run, token, message}.';
