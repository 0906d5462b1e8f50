-- What may go: events that nothing needs; and how events may be made to say less of a customer.

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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
