-- A sound history: what no event may say, and what zones, refunds and corrections make of midnights.

-- Time ----------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION loyalty.day_after(moment timestamptz, zone text) RETURNS date
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    shown timestamp := timezone(zone, moment);
BEGIN
    -- Clocks that fall back from past midnight show the evening once more: its midnight has been.
    IF extract(hour FROM shown) >= 20 AND loyalty.midnight(shown::date + 1, zone) <= moment THEN
        RETURN shown::date + 2;
    END IF;
    RETURN shown::date + 1;
END $$;

-- The program ---------------------------------------------------------------------------------------------------------

ALTER TABLE loyalty.program ADD COLUMN zone_since timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN loyalty.program.zone_since IS 'When this zone replaced another one: what was settled before is dated by that.';

CREATE OR REPLACE FUNCTION loyalty.own_account(customer text, refuse_locked boolean) RETURNS loyalty.account
LANGUAGE plpgsql AS $$
DECLARE
    own loyalty.account;
BEGIN
    -- The program before any account: see lock_program.
    SELECT account.* INTO own FROM loyalty.program CROSS JOIN loyalty.account JOIN loyalty.profile USING (profile_id)
    WHERE profile.customer_id = customer FOR NO KEY UPDATE OF account;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no customer % is known', to_json(customer) USING ERRCODE = 'LY404';
    ELSIF refuse_locked AND own.lock_expires_at > clock_timestamp() THEN
        RAISE EXCEPTION 'the balance of customer % is locked until %', customer,
            to_char(timezone('UTC', own.lock_expires_at), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'LY423', DETAIL = own.lock_expires_at::text;
    END IF;
    RETURN own;
END $$;

-- Numbers -------------------------------------------------------------------------------------------------------------

DROP FUNCTION loyalty.points_kept(jsonb, numeric);
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

-- Events ----------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION loyalty.check_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    -- The program before any account: see lock_program.
    PERFORM FROM loyalty.program;
    SELECT e.action, e.params, e.points, account.profile_id IS NULL AS unknown, e.params -> action.parameter AS amount,
           (SELECT customer_id FROM loyalty.profile WHERE profile.profile_id = e.profile_id) AS customer
    INTO wrong
    FROM added AS e
    LEFT JOIN loyalty.action USING (action)
    LEFT JOIN loyalty.account USING (profile_id)
    WHERE account.profile_id IS NULL
       OR e.points IS DISTINCT FROM loyalty.balance_effect(action.effect, loyalty.points_of(e.params -> action.parameter))
       OR (action.effect <> 'none' AND e.points IS NULL)
    LIMIT 1;
    IF FOUND AND wrong.unknown THEN
        RAISE EXCEPTION 'an event of % is about a profile that does not exist', wrong.action
            USING ERRCODE = 'foreign_key_violation';
    ELSIF FOUND THEN
        RAISE EXCEPTION '% of customer %: the amount % cannot move the balance by %', wrong.action, wrong.customer,
            coalesce(wrong.amount::text, '(none)'), coalesce(wrong.points::text, 'nothing')
            USING ERRCODE = 'check_violation', DETAIL = wrong.params::text;
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

CREATE OR REPLACE FUNCTION loyalty.book_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    the loyalty.program;
    broke record;
BEGIN
    SELECT * INTO STRICT the FROM loyalty.program;
    WITH kind AS (
        SELECT e.profile_id, e.action, action.effect, action.validity_days,
               coalesce(sum(e.points), 0) AS points,
               min(e.points) < 0 AS loses,
               max(e.occurred_at) FILTER (WHERE e.points IS NOT NULL) AS last_at,
               min(e.occurred_at) FILTER (WHERE e.points IS NOT NULL) AS first_at,
               min(e.occurred_at) FILTER (WHERE action.feeds_rules) AS award_from,
               bool_or(action.effect = 'adjust' AND e.refers_to IS NOT NULL) AS corrects,
               min(e.params ->> 'expires_on') AS expires_on,
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
    )
    UPDATE loyalty.account AS account
    SET balance = account.balance + change.points,
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
    FROM change WHERE account.profile_id = change.profile_id;
    IF NOT the.allow_debt AND EXISTS (SELECT FROM added WHERE points < 0) THEN
        SELECT profile.customer_id, account.balance INTO broke
        FROM loyalty.account JOIN loyalty.profile USING (profile_id)
        WHERE account.balance < 0 AND account.profile_id IN (SELECT e.profile_id FROM added AS e WHERE e.points < 0)
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'the balance of customer % would be %, and the program allows no debt',
                broke.customer_id, broke.balance USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    SELECT profile.customer_id, account.balance INTO broke
    FROM loyalty.account JOIN loyalty.profile USING (profile_id)
    WHERE account.balance > 9007199254740992 AND account.profile_id IN (
        SELECT e.profile_id FROM added AS e JOIN loyalty.action USING (action) WHERE e.points > 0 AND action.effect <> 'restore')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the balance of customer % would be %, beyond the largest number that is kept (2^53)',
            broke.customer_id, broke.balance USING ERRCODE = 'check_violation';
    END IF;
    -- What is left of an earning is asked here, where the account is ours.
    SELECT profile.customer_id, e.action, lot.points INTO broke
    FROM (
        SELECT DISTINCT added.profile_id, added.refers_to, added.action
        FROM added JOIN loyalty.action ON action.action = added.action AND action.effect = 'reverse' WHERE added.points < 0
    ) AS e
    CROSS JOIN LATERAL (
        SELECT sum(p.points) AS points FROM loyalty.event AS p JOIN loyalty.action AS kind USING (action)
        WHERE p.profile_id = e.profile_id
          AND (p.key = e.refers_to OR (p.refers_to = e.refers_to AND kind.effect IN ('reverse', 'adjust')))
    ) AS lot
    JOIN loyalty.profile ON profile.profile_id = e.profile_id
    WHERE coalesce(lot.points, -1) < 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of customer % takes % more than is left of what it reverses', broke.action, broke.customer_id, -broke.points
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.book_events IS
    'Carries new events into the accounts: balance, and what expiry and earning rules have to look at. Refuses what no account can hold.';

-- Settling midnights --------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW loyalty.points_entry AS
WITH fact AS (
    SELECT e.profile_id, e.key, e.action, action.effect, e.points, e.occurred_at, e.recorded_at, program.timezone AS zone,
           CASE WHEN action.effect = 'adjust' AND kind.effect <> 'none' THEN target.occurred_at ELSE e.occurred_at END AS at,
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
               WHEN action.effect = 'adjust' THEN coalesce(e.params ->> 'expires_on', target.params ->> 'expires_on')::date
           END AS due_on,
           CASE WHEN action.effect = 'reverse' OR kind.effect IN ('earn', 'adjust') THEN target.key ELSE e.key END AS lot_key,
           CASE WHEN action.effect IN ('expire', 'restore') THEN e.params ->> 'midnight' END::date AS midnight
    FROM loyalty.event AS e
    JOIN loyalty.action ON action.action = e.action AND action.effect <> 'none'
    CROSS JOIN loyalty.program
    LEFT JOIN loyalty.event AS target ON target.profile_id = e.profile_id AND target.key = CASE
        WHEN action.effect IN ('reverse', 'restore', 'adjust') THEN e.refers_to END
    LEFT JOIN loyalty.action AS kind ON kind.action = target.action
)
SELECT profile_id, key, action, effect, occurred_at, recorded_at, points, side, at,
       CASE WHEN side = 'collected' THEN points ELSE -points END AS amount,
       CASE WHEN side = 'expired' THEN coalesce(midnight, timezone(zone, at)::date) ELSE loyalty.day_after(at, zone) END AS counts_on,
       CASE WHEN side = 'collected' THEN due_on END AS due_on,
       CASE WHEN side = 'collected' AND effect = 'reverse' AND due_on IS NOT NULL THEN greatest(due_on, loyalty.day_after(at, zone))
            WHEN side = 'collected' THEN due_on END AS matures_on,
       CASE WHEN side = 'collected' THEN lot_key END AS lot_key
FROM fact;

DROP FUNCTION loyalty.settlement;
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
        -- OFFSET 0 keeps it one look-up for each profile, in its partition, by the index event_occurred_at.
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
        SELECT e.profile_id, e.counts_on AS midnight, e.at, sum(flow) AS flow, sum(used) AS used, 0 AS matured,
               sum(expired) AS expired, sum(is_expiry) AS entry_count
        FROM entry AS e GROUP BY e.profile_id, e.counts_on, e.at
        UNION ALL
        SELECT e.profile_id, e.matures_on, 'infinity', 0, 0, sum(matured), 0, 0
        FROM entry AS e WHERE e.matures_on IS NOT NULL GROUP BY e.profile_id, e.matures_on
    ), forward AS (
        SELECT s.*, sum(s.flow) OVER past AS held, sum(s.used) OVER past AS used_before, sum(s.matured) OVER past AS matured_by,
               lead(s.midnight) OVER past IS DISTINCT FROM s.midnight AS closes
        FROM step AS s WINDOW past AS (PARTITION BY s.profile_id ORDER BY s.midnight, s.at)
    ), backward AS (
        SELECT f.*, min(f.held) OVER (PARTITION BY f.profile_id ORDER BY f.midnight DESC, f.at DESC) AS room
        FROM forward AS f
    ), night AS (
        SELECT b.profile_id, b.midnight,
               sum(b.expired) AS recorded, sum(b.entry_count) AS entry_count,
               max(b.matured_by - b.used_before) FILTER (WHERE b.closes) AS unspent,
               max(b.room) FILTER (WHERE b.closes) AS room
        FROM backward AS b GROUP BY b.profile_id, b.midnight
    )
    SELECT n.profile_id, n.midnight,
           (max(greatest(0, least(n.unspent, n.room))) OVER (PARTITION BY n.profile_id ORDER BY n.midnight))::bigint,
           n.recorded::bigint, n.entry_count::bigint, n.unspent::bigint
    FROM night AS n
$$;
COMMENT ON FUNCTION loyalty.settlement IS
    'For each profile and each midnight at which anything changes: what must have expired by then in all (demanded), what was '
    'recorded for that midnight alone, in how many entries, and what was matured and not used (unspent). '
    'The last four arguments take points out of earnings: from an instant on, or (null) as if they had never been earned.';
