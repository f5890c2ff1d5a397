-- One message to one person about one cause. `text` is fixed when the message comes to be; it holds no identity.
CREATE TABLE messages (
    message_id       uuid PRIMARY KEY,
    kind             text NOT NULL,
    cause            text NOT NULL,
    person_id        text NOT NULL,
    area             text NOT NULL,
    subject_id       uuid,
    text             text NOT NULL,
    template_area    text NOT NULL,
    template_version integer NOT NULL CHECK (template_version >= 0),
    phone            text CHECK (phone LIKE 'sm4.%'), -- only where another than the person's contact is meant
    phone_token      text,                            -- of a phone that serves several persons: they are told together
    sent_with        uuid REFERENCES messages,        -- the message whose SMS tells this person as well
    status           text NOT NULL DEFAULT 'queued'
                     CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'letter_due', 'suppressed')),
    medium           text NOT NULL DEFAULT 'sms' CHECK (medium IN ('sms', 'letter')),
    reason           text,
    attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_try_at      timestamptz,
    created_at       timestamptz NOT NULL,
    sent_at          timestamptz,
    delivered_at     timestamptz,
    delivered_on     date,
    received_by      text CHECK (received_by IN ('self', 'family', 'guardian', 'agent', 'left', 'post', 'notice')),
    -- What must never happen twice outside is unique on its own cause, not only by the inbox.
    CONSTRAINT one_message_per_cause UNIQUE (cause, kind),
    CONSTRAINT failures_have_reasons CHECK (status NOT IN ('failed', 'suppressed') OR reason IS NOT NULL),
    CONSTRAINT deliveries_have_days CHECK ((status = 'delivered') = (delivered_on IS NOT NULL)),
    CONSTRAINT texts_went_by_sms CHECK (status NOT IN ('sending', 'sent') OR medium = 'sms'),
    CONSTRAINT letters_are_letters CHECK (status <> 'letter_due' OR medium = 'letter'),
    CONSTRAINT letters_are_received CHECK ((received_by IS NOT NULL) = (status = 'delivered' AND medium = 'letter')),
    CONSTRAINT work_has_a_time
        CHECK ((status IN ('queued', 'sending', 'sent') AND sent_with IS NULL) = (next_try_at IS NOT NULL)),
    -- Kept no longer than it is needed.
    CONSTRAINT phones_are_forgotten CHECK (phone IS NULL OR status IN ('queued', 'sending', 'sent'))
);
CREATE INDEX messages_by_person ON messages (person_id, message_id);
CREATE INDEX messages_to_work_on ON messages (next_try_at, phone_token) WHERE next_try_at IS NOT NULL;
CREATE INDEX messages_told_with ON messages (sent_with) WHERE sent_with IS NOT NULL;
CREATE INDEX letters_to_hand_over ON messages (area, message_id) WHERE status = 'letter_due';

-- What became of each message, step by step.
CREATE TABLE message_history (
    message_id uuid NOT NULL REFERENCES messages,
    at         timestamptz NOT NULL DEFAULT now(),
    status     text NOT NULL,
    reason     text,
    attempts   integer NOT NULL
);
CREATE INDEX message_history_by_message ON message_history (message_id, at);
CREATE TRIGGER message_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON message_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION note_message_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_history (message_id, status, reason, attempts)
    VALUES (NEW.message_id, NEW.status, NEW.reason, NEW.attempts);
    RETURN NULL;
END $$;
CREATE TRIGGER messages_made AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION note_message_step();
CREATE TRIGGER messages_moved AFTER UPDATE ON messages FOR EACH ROW
    WHEN ((OLD.status, OLD.reason) IS DISTINCT FROM (NEW.status, NEW.reason)) EXECUTE FUNCTION note_message_step();

-- The texts that areas wrote, every version; what no area wrote is in texts.py.
CREATE TABLE templates (
    kind       text NOT NULL,
    area       text NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    text       text NOT NULL,
    written_by text NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (kind, area, version)
);
CREATE TRIGGER templates_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON templates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How a person is reached now. The phone of before is kept for a while: who changed a phone may change an account next.
CREATE TABLE contacts (
    person_id       text PRIMARY KEY,
    version         bigint NOT NULL,
    area            text NOT NULL,
    phone           text CHECK (phone LIKE 'sm4.%'),
    phone_token     text,
    name            text CHECK (name LIKE 'sm4.%'), -- of letters, and of texts to a phone that serves several persons
    guardian_phone  text CHECK (guardian_phone LIKE 'sm4.%'),
    old_phone       text CHECK (old_phone LIKE 'sm4.%'),
    old_phone_until date,
    CONSTRAINT old_phones_are_forgotten CHECK ((old_phone IS NULL) = (old_phone_until IS NULL))
);
CREATE INDEX contacts_by_phone ON contacts (phone_token) WHERE phone_token IS NOT NULL;
CREATE INDEX contacts_with_old_phone ON contacts (old_phone_until) WHERE old_phone_until IS NOT NULL;

-- Which account a person is paid to, as far as it takes to see that it changed.
CREATE TABLE payees (
    person_id    text PRIMARY KEY,
    version      bigint NOT NULL,
    number_token text
);

-- The facts that decide whom to write to, and when: deaths, and how long certificates are valid.
CREATE TABLE facts (
    fact_id     uuid PRIMARY KEY,
    person_id   text NOT NULL,
    kind        text CHECK (kind IN ('certificate', 'died', 'declared_dead', 'reappeared')),
    occurred_on date,
    expires_on  date,
    retracted   boolean NOT NULL DEFAULT false,
    CONSTRAINT facts_are_known_unless_retracted CHECK (retracted OR (kind IS NOT NULL AND occurred_on IS NOT NULL))
);
CREATE INDEX facts_by_person ON facts (person_id, kind);
CREATE INDEX certificates_by_expiry ON facts (expires_on) WHERE kind = 'certificate' AND NOT retracted;

-- Who turned out to be one person with another.
CREATE TABLE merged_persons (
    person_id      text PRIMARY KEY,
    into_person_id text NOT NULL CHECK (into_person_id <> person_id)
);

-- The newest schedule of each person and subsidy, and what the person was last told of it.
CREATE TABLE schedules (
    person_id        text NOT NULL,
    subsidy          text NOT NULL CHECK (subsidy IN ('living', 'care')),
    version          bigint NOT NULL,
    area             text NOT NULL,
    runs             jsonb NOT NULL,
    because          text NOT NULL,
    told_amount_fen  bigint CHECK (told_amount_fen > 0),
    told_since       date CHECK (told_since = date_trunc('month', told_since)),
    -- Fen by month that was taken from months already paid, and not given back: what a month regains of it is no arrears.
    overpaid         jsonb NOT NULL DEFAULT '{}',
    look_again_on    date,
    paid_until       date CHECK (paid_until = date_trunc('month', paid_until)), -- the latest month that reached the account
    PRIMARY KEY (person_id, subsidy),
    CONSTRAINT amounts_have_a_month CHECK (told_amount_fen IS NULL OR told_since IS NOT NULL)
);
CREATE INDEX schedules_to_look_at ON schedules (look_again_on) WHERE look_again_on IS NOT NULL;

-- The newest policy.changed of each area, of what notices go by: parameters by name and day.
CREATE TABLE policies (
    area           text PRIMARY KEY,
    version        bigint NOT NULL,
    policy_version text NOT NULL,
    "values"       jsonb NOT NULL
);

-- Whose phone nobody writes to: a death that was told as a fact, or that ended a schedule (whichever is heard of first).
CREATE VIEW deceased AS
SELECT person_id FROM facts AS death
WHERE NOT retracted AND (kind = 'died' OR (kind = 'declared_dead' AND NOT EXISTS (
    SELECT FROM facts AS return
    WHERE return.person_id = death.person_id AND return.kind = 'reappeared' AND NOT return.retracted
        AND return.occurred_on >= death.occurred_on)))
UNION
SELECT person_id FROM schedules WHERE because IN ('alive', 'person.died', 'person.declared_dead');
