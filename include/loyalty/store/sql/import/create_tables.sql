-- What an import keeps while it runs. All of it is gone with the transaction, or with the next import in it.
DROP TABLE IF EXISTS pg_temp.import_row, pg_temp.import_event, pg_temp.import_twin, pg_temp.import_profile, pg_temp.import_there;
-- The rows of the file as they were read.
CREATE TEMP TABLE import_row (
    row_number bigint NOT NULL,
    fault text,
    customer_id text,
    action text,
    utc_time timestamp,
    local_time timestamp,
    event_id text,
    source text,
    params jsonb
) ON COMMIT DROP;
-- The same as events; those with a reason are not stored.
CREATE TEMP TABLE import_event (
    row_number bigint NOT NULL,
    customer_id text,
    action text,
    effect text,
    occurred_at timestamptz,
    points bigint,
    params jsonb,
    source text,
    event_id text,
    key uuid,
    refers_to uuid,
    reason text
) ON COMMIT DROP;
-- Rows whose event an earlier row of the file has, too: the nth.
CREATE TEMP TABLE import_twin (row_number bigint NOT NULL, first_row bigint NOT NULL, n bigint NOT NULL) ON COMMIT DROP;
-- Whom the file is about.
CREATE TEMP TABLE import_profile (customer_id text NOT NULL, profile_id bigint NOT NULL) ON COMMIT DROP;
-- Rows whose event needs no storing: the ledger has it, or an earlier row of the file brings it.
CREATE TEMP TABLE import_there (row_number bigint NOT NULL) ON COMMIT DROP;
