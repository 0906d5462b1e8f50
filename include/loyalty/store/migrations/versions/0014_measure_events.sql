-- Autovacuum measures each partition of the events, and never the table that they are of: without this the planner takes the
-- events of millions of profiles for those of two hundred.

CREATE FUNCTION loyalty.measure_events() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    all_of_it CONSTANT regclass := 'loyalty.event';
    there double precision := (
        SELECT sum(part.reltuples) FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
        WHERE inhparent = all_of_it AND part.reltuples > 0);
    known double precision := (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = all_of_it);
BEGIN
    -- Of few, any plan is good; and of a fifth more or less, too.
    IF there > 10000 AND abs(there - known) > known / 5 THEN
        EXECUTE format('ANALYZE %s loyalty.event (profile_id, action)',
                       CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'ONLY' END);
    END IF;
END $$;
COMMENT ON FUNCTION loyalty.measure_events IS 'The planner knows about how many profiles the events are of.';
