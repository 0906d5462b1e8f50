-- What may go: events that nothing needs, and who a customer was.

-- Events stay, with two exceptions that only the functions below make ------------------------------------------------------

CREATE FUNCTION loyalty.keep_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('loyalty.exception', true) = 'retention'
       AND OLD.points IS NULL AND NOT EXISTS (SELECT FROM loyalty.action WHERE action.action = OLD.action) THEN
        RETURN OLD;
    ELSIF TG_OP = 'UPDATE' AND current_setting('loyalty.exception', true) = 'forgetting'
       AND (OLD.profile_id, OLD.key, OLD.action, OLD.occurred_at, OLD.points, OLD.refers_to, OLD.run_id, OLD.recorded_at)
           IS NOT DISTINCT FROM
           (NEW.profile_id, NEW.key, NEW.action, NEW.occurred_at, NEW.points, NEW.refers_to, NEW.run_id, NEW.recorded_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'events are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
COMMENT ON FUNCTION loyalty.keep_events IS
    'Refuses to change or delete events, but for retention of what moves nothing, and for forgetting who somebody was.';
DROP TRIGGER events_stay ON loyalty.event;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON loyalty.event FOR EACH ROW EXECUTE FUNCTION loyalty.keep_events();

-- Retention ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.delete_old_events(
    after bigint, size integer, cutoffs jsonb, others date, kept text[], OUT last_profile bigint, OUT deleted jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    zone text := (SELECT timezone FROM loyalty.program);
    others_before timestamptz := loyalty.midnight(others, zone);
BEGIN
    SELECT max(part.profile_id) INTO last_profile
    FROM (SELECT profile_id FROM loyalty.profile WHERE profile_id > after ORDER BY profile_id LIMIT size) AS part;
    PERFORM set_config('loyalty.exception', 'retention', true);
    WITH cutoff AS MATERIALIZED (
        SELECT key AS action, loyalty.midnight(value::date, zone) AS before FROM jsonb_each_text(cutoffs)
    ), gone AS (
        DELETE FROM loyalty.event AS e
        WHERE e.profile_id > after AND e.profile_id <= last_profile AND e.points IS NULL
          AND (e.occurred_at < others_before OR EXISTS (SELECT FROM cutoff))
          AND e.occurred_at < coalesce(
              (SELECT before FROM cutoff WHERE cutoff.action = e.action), CASE WHEN e.action <> ALL (kept) THEN others_before END)
          AND NOT EXISTS (SELECT FROM loyalty.action WHERE action.action = e.action)
          AND NOT EXISTS (SELECT FROM loyalty.event AS named WHERE named.profile_id = e.profile_id AND named.refers_to = e.key)
        RETURNING e.action
    )
    SELECT coalesce(jsonb_object_agg(action, n), '{}') INTO deleted FROM (SELECT action, count(*) AS n FROM gone GROUP BY action) AS c;
    PERFORM set_config('loyalty.exception', '', true);
END $$;
COMMENT ON FUNCTION loyalty.delete_old_events IS
    'Of the next so many profiles after one, events are gone that occurred before the local day of their action, or of others for '
    'actions that are neither named nor kept; unless they move a balance, feed a rule, signal, or are named by another event. '
    'Returns the last of these profiles (null: there is none), and how many events went, by action.';

-- Forgetting --------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.forgotten_customer (
    profile_id bigint PRIMARY KEY,
    salt bytea NOT NULL,
    digest bytea NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE loyalty.forgotten_customer IS 'Whose identity was removed on demand; their points stay in the books.';
COMMENT ON COLUMN loyalty.forgotten_customer.profile_id IS 'The profile, which has no name any more.';
COMMENT ON COLUMN loyalty.forgotten_customer.salt IS 'Random, of this row alone.';
COMMENT ON COLUMN loyalty.forgotten_customer.digest IS 'SHA-256 of salt and customer id: whoever knows the id can see that it was forgotten.';
COMMENT ON COLUMN loyalty.forgotten_customer.forgotten_at IS 'When.';

-- What was sent, or failed, to somebody who is forgotten has no address any more.
ALTER TABLE loyalty.email DROP CONSTRAINT waits_have_an_address;
ALTER TABLE loyalty.email ADD CONSTRAINT waits_have_an_address CHECK (address IS NOT NULL OR state NOT IN ('queued', 'sending'));

CREATE FUNCTION loyalty.forget_customer(customer text, OUT forgotten bigint, OUT forgotten_at timestamptz, OUT is_news boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    own bigint;
    waits_for_awards boolean;
    pseudonym text;
    secret bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
BEGIN
    SELECT known.profile_id, known.forgotten_at, false INTO forgotten, forgotten_at, is_news
    FROM loyalty.forgotten_customer AS known WHERE known.digest = sha256(known.salt || convert_to(customer, 'UTF8'));
    SELECT account.profile_id, account.award_from IS NOT NULL INTO own, waits_for_awards FROM loyalty.program CROSS JOIN loyalty.account JOIN loyalty.profile USING (profile_id)
    WHERE profile.customer_id = customer FOR NO KEY UPDATE OF account;
    IF own IS NULL THEN
        UPDATE loyalty.email SET address = NULL, detail = NULL WHERE profile_id = forgotten AND state NOT IN ('queued', 'sending');
        RETURN;
    ELSIF waits_for_awards THEN
        RAISE EXCEPTION 'the earning rules have not seen all events of customer %', to_json(customer) USING ERRCODE = 'LY409';
    END IF;
    pseudonym := 'forgotten-' || own;
    PERFORM set_config('loyalty.exception', 'forgetting', true);
    -- What the ledger needs of a parameter stays; an order keeps a name that says nothing, the same for its charge and refunds.
    UPDATE loyalty.event AS e
    SET event_id = NULL,
        params = coalesce((
            SELECT jsonb_object_agg(member.key, CASE member.key
                WHEN '$orderID' THEN to_jsonb(encode(sha256(secret || convert_to(member.value::text, 'UTF8')), 'hex')) ELSE member.value END)
            FROM jsonb_each(e.params) AS member
            WHERE member.key = action.parameter OR member.key IN (
                '$orderID', '$totalAmount', 'promotion', 'midnight', 'expires_on', 'run', 'token', 'rule', 'amount', 'points_per_unit',
                'refunded', 'notTaken', 'campaign')), '{}')
    FROM loyalty.event AS same LEFT JOIN loyalty.action ON action.action = same.action
    WHERE e.profile_id = own AND same.profile_id = own AND same.key = e.key;
    PERFORM set_config('loyalty.exception', '', true);
    UPDATE loyalty.profile SET customer_id = pseudonym, attributes = '{}', tags = '{}' WHERE profile_id = own;
    -- What a sender has in its hands at this moment goes out; its address goes when it is forgotten again.
    UPDATE loyalty.email SET address = NULL, detail = NULL,
        state = CASE state WHEN 'queued' THEN 'skipped' ELSE state END,
        reason = CASE state WHEN 'queued' THEN 'forgotten' ELSE reason END,
        ended_at = CASE state WHEN 'queued' THEN clock_timestamp() ELSE ended_at END
    WHERE profile_id = own AND state <> 'sending';
    UPDATE loyalty.journey_member SET detail = NULL WHERE profile_id = own AND detail IS NOT NULL;
    UPDATE loyalty.api_key SET customer_id = pseudonym, revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE customer_id = customer;
    INSERT INTO loyalty.forgotten_customer (profile_id, salt, digest)
    VALUES (own, secret, sha256(secret || convert_to(customer, 'UTF8')))
    RETURNING profile_id, forgotten_customer.forgotten_at, true INTO forgotten, forgotten_at, is_news;
END $$;
COMMENT ON FUNCTION loyalty.forget_customer IS
    'The customer''s profile has a name that says nothing, no attributes, no tags; events keep what the ledger needs of them; mail that '
    'waited is not sent; keys are revoked. No balance changes. Returns the profile and when, and whether it was just now; nulls for '
    'somebody who was never known.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
