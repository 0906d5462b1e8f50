-- Progress: how far every run is, kept as it goes, so that whoever looks need not count millions.

CREATE TABLE loyalty.journey_progress (
    run_id bigint NOT NULL REFERENCES loyalty.journey_run,
    chunk integer NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    moment timestamptz NOT NULL,
    backend integer NOT NULL,
    member_count bigint NOT NULL,
    asked_count bigint NOT NULL,
    locked_count bigint NOT NULL,
    approved bigint NOT NULL,
    points bigint NOT NULL,
    returned bigint NOT NULL,
    shortfall bigint NOT NULL,
    balance_in bigint NOT NULL,
    balance_out bigint NOT NULL,
    PRIMARY KEY (run_id, chunk, state, reason, moment, backend)
);
COMMENT ON TABLE loyalty.journey_progress IS
    'How the numbers of a run''s members changed, by five seconds: those who came to a state less those who left it. Their sums are '
    'what the members are now; every session has rows of its own, so that none waits for another.';
COMMENT ON COLUMN loyalty.journey_progress.run_id IS 'The run.';
COMMENT ON COLUMN loyalty.journey_progress.chunk IS 'The chunk; -1: before the run was cut, or never cut.';
COMMENT ON COLUMN loyalty.journey_progress.state IS 'The state of members.';
COMMENT ON COLUMN loyalty.journey_progress.reason IS 'Why they failed; else empty.';
COMMENT ON COLUMN loyalty.journey_progress.moment IS 'The beginning of the five seconds.';
COMMENT ON COLUMN loyalty.journey_progress.backend IS 'The process of the database''s server that wrote it.';
COMMENT ON COLUMN loyalty.journey_progress.member_count IS 'By how many members the state grew.';
COMMENT ON COLUMN loyalty.journey_progress.asked_count IS 'By how many members for whom a lock was ever asked for.';
COMMENT ON COLUMN loyalty.journey_progress.locked_count IS 'By how many members whose lock was ever confirmed.';
COMMENT ON COLUMN loyalty.journey_progress.approved IS 'By how many points that were approved.';
COMMENT ON COLUMN loyalty.journey_progress.points IS 'By how many points taken, net of those given back.';
COMMENT ON COLUMN loyalty.journey_progress.returned IS 'By how many points that promotions gave back under the lock.';
COMMENT ON COLUMN loyalty.journey_progress.shortfall IS 'By how many points that were due and no longer there.';
COMMENT ON COLUMN loyalty.journey_progress.balance_in IS 'By how many points of balances when they were locked.';
COMMENT ON COLUMN loyalty.journey_progress.balance_out IS 'By how many points of balances just after the deduction.';

CREATE FUNCTION loyalty.five_seconds(moment timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN date_bin(interval '5 seconds', moment, timestamptz '2000-01-01 00:00:00+00');
COMMENT ON FUNCTION loyalty.five_seconds IS 'The beginning of the five seconds in which the moment lies.';

CREATE FUNCTION loyalty.add_progress(steps loyalty.journey_progress[]) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO loyalty.journey_progress AS known SELECT * FROM unnest(steps)
    ON CONFLICT (run_id, chunk, state, reason, moment, backend) DO UPDATE SET
        member_count = known.member_count + excluded.member_count, asked_count = known.asked_count + excluded.asked_count,
        locked_count = known.locked_count + excluded.locked_count, approved = known.approved + excluded.approved,
        points = known.points + excluded.points, returned = known.returned + excluded.returned,
        shortfall = known.shortfall + excluded.shortfall, balance_in = known.balance_in + excluded.balance_in,
        balance_out = known.balance_out + excluded.balance_out
$$;
COMMENT ON FUNCTION loyalty.add_progress IS 'These steps are counted, beside what the same session counted in the same five seconds.';

CREATE FUNCTION loyalty.count_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run bigint;
    bounds bigint[];
BEGIN
    FOR run IN SELECT DISTINCT run_id FROM come ORDER BY run_id LOOP
        bounds := ARRAY(SELECT first_profile_id FROM loyalty.journey_chunk WHERE run_id = run ORDER BY chunk);
        PERFORM loyalty.add_progress(ARRAY(SELECT ROW(counted.*)::loyalty.journey_progress FROM (
            SELECT run, width_bucket(profile_id, bounds) - 1, state, coalesce(reason, ''), loyalty.five_seconds(clock_timestamp()),
                   pg_backend_pid(), sum(n), coalesce(sum(n) FILTER (WHERE lock_requested_at IS NOT NULL), 0),
                   coalesce(sum(n) FILTER (WHERE locked_at IS NOT NULL), 0), sum(n * approved), sum(n * points), sum(n * returned), sum(n * shortfall),
                   coalesce(sum(n * balance_locked), 0), coalesce(sum(n * balance_after), 0)
            FROM (
                SELECT 1 AS n, come.* FROM come WHERE run_id = run
                UNION ALL
                SELECT -1, gone.* FROM gone WHERE run_id = run
            ) AS step
            GROUP BY 2, 3, 4, 5
        ) AS counted));
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.count_members IS 'What became of members is counted.';
CREATE TRIGGER count_members AFTER UPDATE ON loyalty.journey_member
REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION loyalty.count_members();

CREATE FUNCTION loyalty.note_members(the_run bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH bound AS MATERIALIZED (
        SELECT ARRAY(SELECT first_profile_id FROM loyalty.journey_chunk WHERE run_id = the_run ORDER BY chunk) AS bounds
    ), step AS (
        SELECT width_bucket(profile_id, bounds) - 1 AS chunk, state, coalesce(reason, '') AS reason, 1 AS member_count,
               (lock_requested_at IS NOT NULL)::int AS asked_count, (locked_at IS NOT NULL)::int AS locked_count, approved,
               points, returned, shortfall, coalesce(balance_locked, 0) AS balance_in, coalesce(balance_after, 0) AS balance_out
        FROM loyalty.journey_member CROSS JOIN bound WHERE run_id = the_run
        UNION ALL
        SELECT chunk, state, reason, -member_count, -asked_count, -locked_count, -approved, -points, -returned, -shortfall, -balance_in, -balance_out
        FROM loyalty.journey_progress WHERE run_id = the_run
    )
    SELECT loyalty.add_progress(ARRAY(SELECT ROW(counted.*)::loyalty.journey_progress FROM (
        SELECT the_run, chunk, state, reason, loyalty.five_seconds(clock_timestamp()), pg_backend_pid(), sum(member_count), sum(asked_count),
               sum(locked_count), sum(approved), sum(points), sum(returned), sum(shortfall), sum(balance_in), sum(balance_out)
        FROM step GROUP BY chunk, state, reason
        HAVING (sum(member_count), sum(asked_count), sum(locked_count), sum(approved), sum(points), sum(returned), sum(shortfall), sum(balance_in),
                sum(balance_out)) <> (0, 0, 0, 0, 0, 0, 0, 0, 0)
    ) AS counted))
$$;
COMMENT ON FUNCTION loyalty.note_members IS
    'The progress of the run says what its members are: to be called when members were added (a trigger would copy millions of them), '
    'or when they were cut into chunks. Again changes nothing.';

-- Mail --------------------------------------------------------------------------------------------------------------------

CREATE TABLE loyalty.email_progress (
    run_id bigint NOT NULL REFERENCES loyalty.journey_run,
    campaign text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    backend integer NOT NULL,
    message_count bigint NOT NULL,
    PRIMARY KEY (run_id, campaign, state, reason, backend)
);
COMMENT ON TABLE loyalty.email_progress IS 'How many messages about a run are how far, by the session that counted; the sums count.';
COMMENT ON COLUMN loyalty.email_progress.run_id IS 'The run.';
COMMENT ON COLUMN loyalty.email_progress.campaign IS 'The campaign.';
COMMENT ON COLUMN loyalty.email_progress.state IS 'The state of messages.';
COMMENT ON COLUMN loyalty.email_progress.reason IS 'Why they are in it; else empty.';
COMMENT ON COLUMN loyalty.email_progress.backend IS 'The process of the database''s server that wrote it.';
COMMENT ON COLUMN loyalty.email_progress.message_count IS 'By how many messages the state grew.';

CREATE FUNCTION loyalty.count_mail_owed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO loyalty.email_progress AS known (run_id, campaign, state, reason, backend, message_count)
    SELECT run_id, campaign, state, coalesce(reason, ''), pg_backend_pid(), count(*)
    FROM come WHERE run_id IS NOT NULL GROUP BY run_id, campaign, state, coalesce(reason, '')
    ON CONFLICT (run_id, campaign, state, reason, backend) DO UPDATE SET message_count = known.message_count + excluded.message_count;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.count_mail_owed IS 'New messages are counted.';

CREATE FUNCTION loyalty.count_mail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO loyalty.email_progress AS known (run_id, campaign, state, reason, backend, message_count)
    SELECT run_id, campaign, state, coalesce(reason, ''), pg_backend_pid(), sum(n)
    FROM (SELECT 1 AS n, come.* FROM come UNION ALL SELECT -1, gone.* FROM gone) AS step
    WHERE run_id IS NOT NULL GROUP BY run_id, campaign, state, coalesce(reason, '') HAVING sum(n) <> 0
    ON CONFLICT (run_id, campaign, state, reason, backend) DO UPDATE SET message_count = known.message_count + excluded.message_count;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.count_mail IS 'What became of messages is counted.';
CREATE TRIGGER count_mail_owed AFTER INSERT ON loyalty.email
REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION loyalty.count_mail_owed();
CREATE TRIGGER count_mail AFTER UPDATE ON loyalty.email
REFERENCING OLD TABLE AS gone NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION loyalty.count_mail();

-- What is there already -----------------------------------------------------------------------------------------------------

SELECT loyalty.note_members(run_id) FROM loyalty.journey_run;
INSERT INTO loyalty.email_progress (run_id, campaign, state, reason, backend, message_count)
SELECT run_id, campaign, state, coalesce(reason, ''), 0, count(*) FROM loyalty.email
WHERE run_id IS NOT NULL GROUP BY run_id, campaign, state, coalesce(reason, '');

-- Who failed, one after the other, and whom an address belongs to.
CREATE INDEX journey_member_failed ON loyalty.journey_member (run_id, profile_id) WHERE reason IS NOT NULL;
CREATE INDEX profile_attributes ON loyalty.profile USING gin (attributes jsonb_path_ops);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
