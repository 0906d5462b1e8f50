-- Sources: events that another PostgreSQL holds, and how far they have been read.

CREATE TABLE loyalty.event_source (
    source text PRIMARY KEY CHECK (source <> ''),
    watermark text,
    stored bigint NOT NULL DEFAULT 0,
    synced_at timestamptz
);
COMMENT ON TABLE loyalty.event_source IS 'Tables and queries of other databases, and how far they have been read.';
COMMENT ON COLUMN loyalty.event_source.source IS 'The name that program.yaml gives it.';
COMMENT ON COLUMN loyalty.event_source.watermark IS 'The highest value of its watermark column that was read; null: nothing was.';
COMMENT ON COLUMN loyalty.event_source.stored IS 'How many events came from it.';
COMMENT ON COLUMN loyalty.event_source.synced_at IS 'When it was read last.';

CREATE TABLE loyalty.sync_rejection (
    source text NOT NULL REFERENCES loyalty.event_source,
    event_id text NOT NULL,
    reason text NOT NULL,
    row jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, event_id)
);
COMMENT ON TABLE loyalty.sync_rejection IS 'Rows of sources that are no events, until they are.';
COMMENT ON COLUMN loyalty.sync_rejection.source IS 'Where it comes from.';
COMMENT ON COLUMN loyalty.sync_rejection.event_id IS 'The source''s name for it; empty: it has none.';
COMMENT ON COLUMN loyalty.sync_rejection.reason IS 'Why it is none.';
COMMENT ON COLUMN loyalty.sync_rejection.row IS 'What it says.';
COMMENT ON COLUMN loyalty.sync_rejection.first_seen_at IS 'When it was refused first.';
COMMENT ON COLUMN loyalty.sync_rejection.last_seen_at IS 'When it was refused last.';
