-- The expiry calendar: what will expire on which day, counted once a night for whoever looks.

CREATE TABLE loyalty.expiry_calendar (
    due_on date NOT NULL,
    action text NOT NULL,
    points bigint NOT NULL,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (due_on, action)
);
COMMENT ON TABLE loyalty.expiry_calendar IS 'What is left of all earnings by the day on which it expires unless it is spent before, as of the last count.';
COMMENT ON COLUMN loyalty.expiry_calendar.due_on IS 'The day.';
COMMENT ON COLUMN loyalty.expiry_calendar.action IS 'What the points were earned by.';
COMMENT ON COLUMN loyalty.expiry_calendar.points IS 'How many.';
COMMENT ON COLUMN loyalty.expiry_calendar.counted_at IS 'When they were counted.';

CREATE FUNCTION loyalty.count_calendar() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    days bigint;
BEGIN
    -- One count at a time; whoever looks meanwhile sees the one before.
    PERFORM pg_advisory_xact_lock(hashtext('loyalty.expiry_calendar'));
    DELETE FROM loyalty.expiry_calendar;
    INSERT INTO loyalty.expiry_calendar (due_on, action, points, counted_at)
    SELECT lot.due_on, event.action, sum(lot.remaining), statement_timestamp()
    FROM loyalty.lot JOIN loyalty.event ON event.profile_id = lot.profile_id AND event.key = lot.key
    WHERE lot.remaining > 0 AND lot.due_on IS NOT NULL
    GROUP BY lot.due_on, event.action;
    GET DIAGNOSTICS days = ROW_COUNT;
    RETURN days;
END $$;
COMMENT ON FUNCTION loyalty.count_calendar IS 'The calendar says what is left now; returns its rows.';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
