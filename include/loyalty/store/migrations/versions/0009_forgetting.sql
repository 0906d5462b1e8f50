-- Forgetting: who a customer was goes, and every sum of points stays.

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
    known loyalty.forgotten_customer;
BEGIN
    SELECT * INTO known FROM loyalty.forgotten_customer
    WHERE digest = loyalty.customer_digest(customer) ORDER BY forgotten_customer.forgotten_at DESC LIMIT 1;
    forgotten := known.profile_id;
    forgotten_at := known.forgotten_at;
    is_news := false;
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
    UPDATE loyalty.delivery SET fault = NULL WHERE profile_id = own AND fault IS NOT NULL;
    DELETE FROM loyalty.sync_rejection AS refused WHERE refused.row ->> 'customer_id' = customer;
    INSERT INTO loyalty.forgotten_customer AS told (profile_id, digest) VALUES (own, loyalty.customer_digest(customer))
    RETURNING told.profile_id, told.forgotten_at, true INTO forgotten, forgotten_at, is_news;
END $$;
COMMENT ON FUNCTION loyalty.forget_customer IS
    'The customer''s profile has a name that says nothing, no attributes, no tags; events keep what the ledger needs of them; mail that '
    'waited is not sent; keys are revoked. No balance changes. What happened before is '
    'not taken again. Returns the profile and when, and whether it was just now; nulls for somebody who was never known.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
