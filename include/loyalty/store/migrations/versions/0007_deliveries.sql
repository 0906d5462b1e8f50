-- Deliveries: what journeys write is told to subscribers outside, in order, until they have it.

CREATE TABLE loyalty.subscriber (
    subscriber text PRIMARY KEY CHECK (subscriber <> ''),
    actions text[] NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    delivered bigint NOT NULL DEFAULT 0,
    last_delivered_at timestamptz
);
COMMENT ON TABLE loyalty.subscriber IS 'Who is told, outside, of what journeys write.';
COMMENT ON COLUMN loyalty.subscriber.subscriber IS 'The name that program.yaml gives it.';
COMMENT ON COLUMN loyalty.subscriber.actions IS 'The actions that it is told of, a * at the end standing for any rest.';
COMMENT ON COLUMN loyalty.subscriber.is_active IS 'Whether the program still has it.';
COMMENT ON COLUMN loyalty.subscriber.delivered IS 'How many events it has taken.';
COMMENT ON COLUMN loyalty.subscriber.last_delivered_at IS 'When it took some last.';

CREATE TABLE loyalty.delivery (
    subscriber text NOT NULL REFERENCES loyalty.subscriber,
    n bigint GENERATED ALWAYS AS IDENTITY,
    profile_id bigint NOT NULL,
    key uuid NOT NULL,
    is_dead boolean NOT NULL DEFAULT false,
    attempts integer NOT NULL DEFAULT 0,
    was_refused boolean NOT NULL DEFAULT false,
    not_before timestamptz,
    first_tried_at timestamptz,
    fault text,
    PRIMARY KEY (subscriber, n)
);
COMMENT ON TABLE loyalty.delivery IS 'Events that a subscriber does not have yet; one that was delivered has no row any more.';
COMMENT ON COLUMN loyalty.delivery.subscriber IS 'Who is to be told.';
COMMENT ON COLUMN loyalty.delivery.n IS 'The order: of one profile''s events, an earlier one has a smaller number.';
COMMENT ON COLUMN loyalty.delivery.profile_id IS 'Whom the event is about.';
COMMENT ON COLUMN loyalty.delivery.key IS 'The event''s key.';
COMMENT ON COLUMN loyalty.delivery.is_dead IS 'Whether it was given up: a dead letter, until it is replayed.';
COMMENT ON COLUMN loyalty.delivery.attempts IS 'How often it was tried in vain.';
COMMENT ON COLUMN loyalty.delivery.was_refused IS 'Whether the subscriber refused it, or what it came with: then it is tried alone.';
COMMENT ON COLUMN loyalty.delivery.not_before IS 'When it may be tried again; null: at once.';
COMMENT ON COLUMN loyalty.delivery.first_tried_at IS 'When it was first tried in vain.';
COMMENT ON COLUMN loyalty.delivery.fault IS 'What the subscriber answered last, or what kept it from being reached.';
CREATE INDEX delivery_waiting ON loyalty.delivery (subscriber, n) WHERE NOT is_dead;

CREATE FUNCTION loyalty.queue_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loyalty.delivery (subscriber, profile_id, key)
    SELECT subscriber.subscriber, e.profile_id, e.key
    FROM loyalty.subscriber JOIN added AS e ON e.run_id IS NOT NULL AND loyalty.is_one_of(e.action, subscriber.actions)
    WHERE subscriber.is_active
    ORDER BY e.profile_id, e.recorded_at, e.occurred_at;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.queue_deliveries IS 'What a journey wrote is to be told to whoever wants to hear of it.';

SELECT loyalty.watch_events('AFTER INSERT', 'g_queue_deliveries', 'queue_deliveries()');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA loyalty FROM PUBLIC;
