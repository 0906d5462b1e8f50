-- Mail: an outbox that is filled beside the points taken, and addresses that want none.

CREATE TABLE loyalty.email (
    profile_id bigint NOT NULL,
    key uuid NOT NULL,
    campaign text NOT NULL CHECK (campaign <> ''),
    run_id bigint REFERENCES loyalty.journey_run,
    stage integer CHECK (stage > 0),
    points bigint NOT NULL,
    address text,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'sent', 'failed', 'skipped')),
    reason text,
    detail text,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    sender_id integer,
    sending_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (profile_id, key),
    CONSTRAINT waits_have_an_address CHECK (address IS NOT NULL OR state = 'skipped'),
    CONSTRAINT sending_has_a_sender CHECK (state <> 'sending' OR (sender_id IS NOT NULL AND sending_at IS NOT NULL)),
    CONSTRAINT no_mail_has_a_reason CHECK (state NOT IN ('failed', 'skipped') OR reason IS NOT NULL),
    CONSTRAINT ended_has_a_time CHECK ((ended_at IS NOT NULL) = (state IN ('sent', 'failed', 'skipped')))
) WITH (fillfactor = 70);
COMMENT ON TABLE loyalty.email IS 'The outbox: one row for each message that a campaign owes a customer, and what became of it.';
COMMENT ON COLUMN loyalty.email.profile_id IS 'To whom.';
COMMENT ON COLUMN loyalty.email.key IS 'What tells the message from all others; its Message-ID is made of it.';
COMMENT ON COLUMN loyalty.email.campaign IS 'The campaign of program.yaml.';
COMMENT ON COLUMN loyalty.email.run_id IS 'The journey run that it tells about.';
COMMENT ON COLUMN loyalty.email.stage IS 'Days ahead of the expiry that it warns of; null: it tells of points gone.';
COMMENT ON COLUMN loyalty.email.points IS 'The points that it is about, as they were when it was queued.';
COMMENT ON COLUMN loyalty.email.address IS 'Where it goes; null: the customer has none.';
COMMENT ON COLUMN loyalty.email.state IS 'How far it is.';
COMMENT ON COLUMN loyalty.email.reason IS 'Why it failed or was skipped, in a word; while it is queued again: why it could not go.';
COMMENT ON COLUMN loyalty.email.detail IS 'More about the reason, as the mail server or the template has it.';
COMMENT ON COLUMN loyalty.email.attempts IS 'How often a mail server has answered for it.';
COMMENT ON COLUMN loyalty.email.queued_at IS 'When it was owed.';
COMMENT ON COLUMN loyalty.email.not_before IS 'When it may be tried next.';
COMMENT ON COLUMN loyalty.email.sender_id IS 'The sender that took it last; it holds an advisory lock of this number as long as it lives.';
COMMENT ON COLUMN loyalty.email.sending_at IS 'When that sender took it.';
COMMENT ON COLUMN loyalty.email.ended_at IS 'When it was sent, failed or skipped.';
CREATE INDEX email_queued ON loyalty.email (campaign, profile_id, key) WHERE state = 'queued';
CREATE INDEX email_due ON loyalty.email (campaign, not_before) WHERE state = 'queued';
CREATE INDEX email_sending ON loyalty.email (sender_id) WHERE state = 'sending';
CREATE INDEX email_of_run ON loyalty.email (run_id, state);

CREATE FUNCTION loyalty.email_key(campaign text, run_id bigint, profile_id bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN md5('email:' || campaign || ':' || run_id::text || ':' || profile_id::text)::uuid;
COMMENT ON FUNCTION loyalty.email_key IS 'The one key of a campaign''s message to a profile about a run.';

CREATE SEQUENCE loyalty.email_sender AS integer CYCLE;
COMMENT ON SEQUENCE loyalty.email_sender IS 'Numbers of senders.';

CREATE TABLE loyalty.reminder (
    profile_id bigint NOT NULL,
    due_on date NOT NULL,
    stage integer NOT NULL CHECK (stage > 0),
    points bigint NOT NULL CHECK (points > 0),
    email_key uuid NOT NULL,
    PRIMARY KEY (profile_id, due_on, stage)
);
COMMENT ON TABLE loyalty.reminder IS 'Who was warned of which day''s expiry at which stage, once.';
COMMENT ON COLUMN loyalty.reminder.profile_id IS 'Who.';
COMMENT ON COLUMN loyalty.reminder.due_on IS 'The day whose midnight takes the points.';
COMMENT ON COLUMN loyalty.reminder.stage IS 'Days ahead at which the warning was due.';
COMMENT ON COLUMN loyalty.reminder.points IS 'Points about to expire, as they were when the warning was queued.';
COMMENT ON COLUMN loyalty.reminder.email_key IS 'The message that says so.';
CREATE INDEX reminder_of_email ON loyalty.reminder (profile_id, email_key);

CREATE TABLE loyalty.email_suppression (
    address text PRIMARY KEY CHECK (address = lower(address)),
    reason text NOT NULL CHECK (reason IN ('bounced', 'complained', 'unsubscribed')),
    detail text,
    suppressed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE loyalty.email_suppression IS 'Addresses that get no mail any more.';
COMMENT ON COLUMN loyalty.email_suppression.address IS 'The address, in small letters.';
COMMENT ON COLUMN loyalty.email_suppression.reason IS 'Why.';
COMMENT ON COLUMN loyalty.email_suppression.detail IS 'More about it, as it was fed back.';
COMMENT ON COLUMN loyalty.email_suppression.suppressed_at IS 'Since when.';

CREATE FUNCTION loyalty.hear_mailboxes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loyalty.email_suppression (address, reason, detail)
    SELECT DISTINCT ON (told.address) told.address, told.reason, told.detail
    FROM (
        SELECT lower(trim(coalesce(e.params ->> 'address', e.params ->> 'email', written.address))) AS address,
               substr(e.action, 7) AS reason, e.params ->> 'message' AS detail
        FROM added AS e LEFT JOIN LATERAL (
            SELECT email.address FROM loyalty.email
            WHERE email.profile_id = e.profile_id AND email.state = 'sent' ORDER BY email.ended_at DESC LIMIT 1) AS written ON true
        WHERE e.action IN ('email.bounced', 'email.complained', 'email.unsubscribed')
    ) AS told
    WHERE told.address <> ''
    ORDER BY told.address, told.reason DESC
    ON CONFLICT (address) DO NOTHING;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION loyalty.hear_mailboxes IS
    'Whose mail bounced, or who unsubscribed or complained, gets none any more: by the address in the event, else by the one '
    'that was written to last.';

SELECT loyalty.watch_events('AFTER INSERT', 'f_hear_mailboxes', 'hear_mailboxes()');

CREATE FUNCTION loyalty.consents(attributes jsonb, consent text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN consent IS NULL OR coalesce(lower(attributes ->> consent) IN ('true', 'yes', '1'), false);
COMMENT ON FUNCTION loyalty.consents IS 'Whether the attribute named so says yes; no name: whether it is asked for at all.';

CREATE FUNCTION loyalty.reach(attributes jsonb, written_in text, consent text, OUT address text, OUT fault text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT found.address, CASE WHEN NOT loyalty.consents(attributes, consent) THEN 'no_consent' WHEN found.address IS NULL THEN 'no_address' END
    FROM (SELECT nullif(trim(attributes ->> written_in), '') AS address) AS found
$$;
COMMENT ON FUNCTION loyalty.reach IS 'Where a customer of these attributes can be written to, or why not.';
