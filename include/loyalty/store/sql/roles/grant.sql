-- Who may do what: docs/access.md has the same as a table. Whatever the roles could do before is taken back first.
DO $$
DECLARE
    role text;
    it record;
BEGIN
    -- Whoever may make temporary tables could put functions of their own under the feet of ours.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
    FOR role IN SELECT rolname FROM pg_roles WHERE rolname IN ('loyalty_journeys', 'loyalty_ingest', 'loyalty_reader') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA loyalty FROM %I', role);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA loyalty FROM %I', role);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM %I', role);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        EXECUTE format('GRANT USAGE ON SCHEMA loyalty TO %I', role);
        EXECUTE format('GRANT SELECT ON loyalty.schema_version TO %I', role);
        FOR it IN
            SELECT p.oid::regprocedure AS name, CASE
                -- These run as their owner: the doors for whoever shows a key, those that write for the journeys, and triggers.
                WHEN p.proname IN ('admit', 'take_events', 'read_profile', 'read_promotions', 'change_promotion') THEN '{loyalty_ingest}'
                WHEN p.proname IN ('authenticate', 'authorize', 'may_write', 'forget_customer') THEN '{}'
                WHEN p.prosecdef THEN '{loyalty_journeys}'
                -- All others do no more than the caller could.
                ELSE '{loyalty_journeys, loyalty_reader}' END::name[] AS roles
            FROM pg_proc AS p WHERE p.pronamespace = 'loyalty'::regnamespace
        LOOP
            IF role = ANY (it.roles) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', it.name, role);
            END IF;
        END LOOP;
        IF role <> 'loyalty_ingest' THEN
            FOR it IN
                SELECT c.oid::regclass AS name FROM pg_class AS c
                WHERE c.relnamespace = 'loyalty'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND c.relname NOT IN ('api_key', 'api_key_use') AND (c.relname <> 'forgotten_customer' OR role = 'loyalty_journeys')
            LOOP
                EXECUTE format('GRANT SELECT ON %s TO %I', it.name, role);
            END LOOP;
        END IF;
        IF role = 'loyalty_journeys' THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), role);
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA loyalty TO loyalty_journeys;
            GRANT INSERT, UPDATE, DELETE ON loyalty.action TO loyalty_journeys;
            GRANT UPDATE ON loyalty.program TO loyalty_journeys;
            GRANT INSERT, UPDATE, DELETE ON loyalty.delivery, loyalty.sync_rejection TO loyalty_journeys;
            GRANT INSERT ON loyalty.event, loyalty.reminder, loyalty.email_suppression,
                loyalty.daily_close, loyalty.daily_close_ageing, loyalty.daily_close_cohort TO loyalty_journeys;
            GRANT INSERT, UPDATE ON loyalty.profile, loyalty.account, loyalty.promotion, loyalty.promotion_activation,
                loyalty.journey_run, loyalty.journey_chunk, loyalty.journey_member, loyalty.email, loyalty.subscriber, loyalty.event_source TO loyalty_journeys;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'loyalty_ingest') AND has_database_privilege('loyalty_ingest', current_database(), 'TEMPORARY') THEN
        RAISE EXCEPTION 'loyalty_ingest must not make temporary tables in this database: its owner must run  REVOKE TEMPORARY ON DATABASE % FROM PUBLIC',
            current_database();
    END IF;
END $$
