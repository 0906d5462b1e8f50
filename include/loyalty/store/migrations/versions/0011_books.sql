-- The books: each day's points are counted as they are booked, and days are closed for good.

-- Counters -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION loyalty.book_day(moment timestamptz, zone text) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN loyalty.day_after(moment, zone) - 1;
COMMENT ON FUNCTION loyalty.book_day IS 'The day of the books: from its midnight, that instant included, to the next one.';

CREATE TABLE loyalty.points_flow (
    day date NOT NULL,
    effect text NOT NULL CHECK (effect IN ('earn', 'reverse', 'redeem', 'return', 'expire', 'cancel', 'restore', 'adjust')),
    slot integer NOT NULL,
    points bigint NOT NULL,
    event_count bigint NOT NULL,
    PRIMARY KEY (day, effect, slot)
) WITH (fillfactor = 70);
COMMENT ON TABLE loyalty.points_flow IS 'By how much the events of each day move the balances: counted as they are booked, however late they are told.';
COMMENT ON COLUMN loyalty.points_flow.day IS 'The day on which they occurred, in the zone of the program.';
COMMENT ON COLUMN loyalty.points_flow.effect IS 'Their effect; a restore that corrects an expiry is counted with the expiries.';
COMMENT ON COLUMN loyalty.points_flow.slot IS 'The session that counted, so that no two wait for each other; 0: of several, folded.';
COMMENT ON COLUMN loyalty.points_flow.points IS 'The sum of their points, as they move the balance.';
COMMENT ON COLUMN loyalty.points_flow.event_count IS 'How many they are.';

CREATE FUNCTION loyalty.count_points() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO loyalty.points_flow AS counter (day, effect, slot, points, event_count)
    SELECT loyalty.book_day(moved.occurred_at, program.timezone), moved.effect, pg_backend_pid(), sum(moved.points), sum(moved.event_count)
    FROM (
        SELECT e.occurred_at, action.effect, sum(e.points) AS points, count(*) AS event_count
        FROM added AS e JOIN loyalty.action USING (action)
        WHERE e.points IS NOT NULL AND action.effect <> 'restore'
        GROUP BY e.occurred_at, action.effect
        UNION ALL
        SELECT e.occurred_at, CASE WHEN corrected.effect = 'expire' THEN 'expire' ELSE 'restore' END, e.points, 1
        FROM added AS e JOIN loyalty.action ON action.action = e.action AND action.effect = 'restore'
        LEFT JOIN loyalty.event AS target ON target.profile_id = e.profile_id AND target.key = e.refers_to
        LEFT JOIN loyalty.action AS corrected ON corrected.action = target.action
    ) AS moved CROSS JOIN loyalty.program
    GROUP BY 1, 2
    ON CONFLICT (day, effect, slot) DO UPDATE
    SET points = counter.points + excluded.points, event_count = counter.event_count + excluded.event_count;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.count_points IS 'New events are in the counters of their days.';
SELECT loyalty.watch_events('AFTER INSERT', 'b_count_points', 'count_points()');

CREATE VIEW loyalty.booked_entry AS
SELECT entry.profile_id, entry.key, loyalty.book_day(entry.occurred_at, program.timezone) AS day,
       CASE WHEN entry.side = 'expired' THEN 'expire' ELSE entry.effect END AS effect, entry.points, entry.side, entry.amount,
       entry.occurred_at, entry.due_on, entry.lot_key, entry.opened_at
FROM loyalty.points_entry AS entry CROSS JOIN loyalty.program;
COMMENT ON VIEW loyalty.booked_entry IS 'Each points event with the day of the books that it occurred on, and the effect under which it is counted.';

CREATE FUNCTION loyalty.recount_points() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM loyalty.points_flow;
    INSERT INTO loyalty.points_flow (day, effect, slot, points, event_count)
    SELECT day, effect, 0, sum(points), count(*) FROM loyalty.booked_entry GROUP BY day, effect;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.recount_points IS 'The counters are made anew from the events: another zone has other days.';
CREATE TRIGGER counters_follow_the_zone AFTER UPDATE OF timezone ON loyalty.program FOR EACH ROW
WHEN (NEW.timezone <> OLD.timezone) EXECUTE FUNCTION loyalty.recount_points();

CREATE FUNCTION loyalty.fold_points(through date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    folded bigint;
BEGIN
    -- Whoever is counting at this moment is left alone, and so is never waited for.
    WITH idle AS MATERIALIZED (
        SELECT day, effect, slot FROM loyalty.points_flow WHERE day <= through AND slot <> 0 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM loyalty.points_flow AS counter USING idle
        WHERE (counter.day, counter.effect, counter.slot) = (idle.day, idle.effect, idle.slot)
        RETURNING counter.*
    ), put AS (
        INSERT INTO loyalty.points_flow AS counter (day, effect, slot, points, event_count)
        SELECT day, effect, 0, sum(points), sum(event_count) FROM gone GROUP BY day, effect
        ON CONFLICT (day, effect, slot) DO UPDATE
        SET points = counter.points + excluded.points, event_count = counter.event_count + excluded.event_count
    )
    SELECT count(*) INTO folded FROM gone;
    RETURN folded;
END $$;
COMMENT ON FUNCTION loyalty.fold_points IS 'The counters of the days through this one, of all sessions, are one for each day and effect. Returns how many went.';

INSERT INTO loyalty.points_flow (day, effect, slot, points, event_count)
SELECT day, effect, 0, sum(points), count(*) FROM loyalty.booked_entry GROUP BY day, effect;

-- Closed days ------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.daily_close (
    day date PRIMARY KEY,
    opening bigint NOT NULL,
    prior_days bigint NOT NULL,
    earned bigint NOT NULL,
    reversed bigint NOT NULL,
    redeemed bigint NOT NULL,
    returned bigint NOT NULL,
    expired bigint NOT NULL,
    cancelled bigint NOT NULL,
    restored bigint NOT NULL,
    adjusted bigint NOT NULL,
    closing bigint NOT NULL,
    debts bigint NOT NULL CHECK (debts >= 0),
    event_count bigint NOT NULL,
    point_value numeric NOT NULL,
    currency text NOT NULL,
    revalued numeric NOT NULL,
    program_fingerprint text NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fingerprint text NOT NULL DEFAULT '',
    CONSTRAINT days_add_up CHECK (closing = opening + prior_days + earned - reversed - redeemed + returned - expired - cancelled + restored + adjusted)
);
COMMENT ON TABLE loyalty.daily_close IS 'The points of the whole program on each day that is closed; no row ever changes.';
COMMENT ON COLUMN loyalty.daily_close.day IS 'The day, in the zone of the program: the expiry of its midnight included.';
COMMENT ON COLUMN loyalty.daily_close.opening IS 'Points that the customers held: the closing of the day before; 0 on the first day.';
COMMENT ON COLUMN loyalty.daily_close.prior_days IS 'Net points of events of earlier days that were told after those were closed; on the first day, of all days before.';
COMMENT ON COLUMN loyalty.daily_close.earned IS 'Points earned on the day.';
COMMENT ON COLUMN loyalty.daily_close.reversed IS 'Points taken back because of refunds.';
COMMENT ON COLUMN loyalty.daily_close.redeemed IS 'Points spent.';
COMMENT ON COLUMN loyalty.daily_close.returned IS 'Points spent that were given back.';
COMMENT ON COLUMN loyalty.daily_close.expired IS 'Points that expired at the midnight that begins the day, net of corrections dated by it.';
COMMENT ON COLUMN loyalty.daily_close.cancelled IS 'Points cancelled.';
COMMENT ON COLUMN loyalty.daily_close.restored IS 'Cancelled points given back.';
COMMENT ON COLUMN loyalty.daily_close.adjusted IS 'Points adjusted: up, less down.';
COMMENT ON COLUMN loyalty.daily_close.closing IS 'Points that the customers hold: all lots, less the debts.';
COMMENT ON COLUMN loyalty.daily_close.debts IS 'Points by which balances are below zero, where the program allows that.';
COMMENT ON COLUMN loyalty.daily_close.event_count IS 'How many events of the day moved a balance, those of prior days left out.';
COMMENT ON COLUMN loyalty.daily_close.point_value IS 'What one point was worth when the day was closed.';
COMMENT ON COLUMN loyalty.daily_close.currency IS 'In which currency.';
COMMENT ON COLUMN loyalty.daily_close.revalued IS 'Money by which the opening points are worth more than at the close before, because the value of a point changed.';
COMMENT ON COLUMN loyalty.daily_close.program_fingerprint IS 'Hash of the settings of the program when the day was closed.';
COMMENT ON COLUMN loyalty.daily_close.closed_at IS 'When it was closed.';
COMMENT ON COLUMN loyalty.daily_close.fingerprint IS 'sha256 of the fingerprint of the day before and of all that this day says: see close_fingerprint.';

CREATE TABLE loyalty.daily_close_ageing (
    day date NOT NULL,
    due_month date NOT NULL,
    points bigint NOT NULL,
    PRIMARY KEY (day, due_month)
);
COMMENT ON TABLE loyalty.daily_close_ageing IS 'When the points that were held at the end of a closed day fall due.';
COMMENT ON COLUMN loyalty.daily_close_ageing.day IS 'The closed day.';
COMMENT ON COLUMN loyalty.daily_close_ageing.due_month IS
    'The first day of the month in which they fall due; 9999-12-01: never; 0001-01-01: at the next midnight, returned without having been earned.';
COMMENT ON COLUMN loyalty.daily_close_ageing.points IS 'How many.';

CREATE TABLE loyalty.daily_close_cohort (
    day date NOT NULL,
    earned_month date NOT NULL,
    earned bigint NOT NULL,
    redeemed bigint NOT NULL,
    expired bigint NOT NULL,
    cancelled bigint NOT NULL,
    remaining bigint NOT NULL,
    PRIMARY KEY (day, earned_month),
    CONSTRAINT cohorts_add_up CHECK (remaining = earned - redeemed - expired - cancelled)
);
COMMENT ON TABLE loyalty.daily_close_cohort IS 'What became, by the end of a closed day, of the points earned in each month; not kept for every day.';
COMMENT ON COLUMN loyalty.daily_close_cohort.day IS 'The closed day.';
COMMENT ON COLUMN loyalty.daily_close_cohort.earned_month IS
    'The first day of the month in which they were earned; 0001-01-01: losses and returns that no earning stands for.';
COMMENT ON COLUMN loyalty.daily_close_cohort.earned IS 'Points earned, net of refunds and corrections.';
COMMENT ON COLUMN loyalty.daily_close_cohort.redeemed IS 'Of them spent or adjusted away, net of returns.';
COMMENT ON COLUMN loyalty.daily_close_cohort.expired IS 'Of them expired, net of corrections.';
COMMENT ON COLUMN loyalty.daily_close_cohort.cancelled IS 'Of them cancelled, net of what was given back.';
COMMENT ON COLUMN loyalty.daily_close_cohort.remaining IS 'Of them held still.';

CREATE FUNCTION loyalty.close_fingerprint(previous text, the loyalty.daily_close) RETURNS text
LANGUAGE sql STABLE SET datestyle = ISO
RETURN encode(sha256(convert_to(concat_ws('|',
    previous, the.day, the.opening, the.prior_days, the.earned, the.reversed, the.redeemed, the.returned, the.expired, the.cancelled,
    the.restored, the.adjusted, the.closing, the.debts, the.event_count, the.point_value, the.currency, the.revalued,
    the.program_fingerprint, to_char(the.closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    (SELECT coalesce(string_agg(concat_ws(':', due_month, points), ',' ORDER BY due_month), '')
     FROM loyalty.daily_close_ageing AS ageing WHERE ageing.day = the.day),
    (SELECT coalesce(string_agg(concat_ws(':', earned_month, earned, redeemed, expired, cancelled, remaining), ',' ORDER BY earned_month), '')
     FROM loyalty.daily_close_cohort AS cohort WHERE cohort.day = the.day)
), 'UTF8')), 'hex');
COMMENT ON FUNCTION loyalty.close_fingerprint IS
    'The fingerprint of a closed day: of the one before (nothing, on the first day), its row, its ageing and its cohorts, as text.';

CREATE FUNCTION loyalty.chain_days() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    previous loyalty.daily_close;
    lots bigint := (SELECT coalesce(sum(points), 0) FROM loyalty.daily_close_ageing AS ageing WHERE ageing.day = NEW.day);
BEGIN
    SELECT * INTO previous FROM loyalty.daily_close ORDER BY day DESC LIMIT 1;
    IF NEW.day <> previous.day + 1 THEN
        RAISE EXCEPTION 'the books are closed through %: the next day is %, not %', previous.day, previous.day + 1, NEW.day
            USING ERRCODE = 'check_violation';
    ELSIF NEW.opening <> coalesce(previous.closing, 0) THEN
        RAISE EXCEPTION '% opens with %, and the day before closed with %', NEW.day, NEW.opening, coalesce(previous.closing, 0)
            USING ERRCODE = 'check_violation';
    ELSIF NEW.closing <> lots - NEW.debts THEN
        RAISE EXCEPTION '% closes with %, and its lots less the debts are %', NEW.day, NEW.closing, lots - NEW.debts
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.fingerprint := loyalty.close_fingerprint(coalesce(previous.fingerprint, ''), NEW);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION loyalty.chain_days IS 'A day follows the one before, opens with its closing, closes with its lots, and carries the chain of fingerprints on.';
CREATE TRIGGER days_are_chained BEFORE INSERT ON loyalty.daily_close FOR EACH ROW EXECUTE FUNCTION loyalty.chain_days();

CREATE FUNCTION loyalty.keep_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM loyalty.daily_close WHERE daily_close.day >= NEW.day) THEN
        RAISE EXCEPTION '% is closed: nothing is added to it', NEW.day USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION loyalty.keep_closed IS 'Refuses to add to a closed day.';
CREATE TRIGGER closed_days_are_whole BEFORE INSERT ON loyalty.daily_close_ageing FOR EACH ROW EXECUTE FUNCTION loyalty.keep_closed();
CREATE TRIGGER closed_days_are_whole BEFORE INSERT ON loyalty.daily_close_cohort FOR EACH ROW EXECUTE FUNCTION loyalty.keep_closed();

DO $$
DECLARE
    place text;
BEGIN
    FOREACH place IN ARRAY ARRAY['daily_close', 'daily_close_ageing', 'daily_close_cohort'] LOOP
        EXECUTE format('CREATE TRIGGER closed_days_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON loyalty.%I FOR EACH STATEMENT '
                       'EXECUTE FUNCTION loyalty.refuse(%L)', place, 'closed days are never changed');
    END LOOP;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
