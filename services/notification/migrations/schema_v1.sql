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
    phone            text CHECK (phone LIKE 'sm4.%'),
    status           text NOT NULL DEFAULT 'queued'
                     CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'failed', 'letter_due')),
    medium           text NOT NULL DEFAULT 'sms' CHECK (medium IN ('sms', 'letter')),
    reason           text,
    attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_try_at      timestamptz,
    created_at       timestamptz NOT NULL,
    sent_at          timestamptz,
    delivered_at     timestamptz,
    delivered_on     date,
    -- What must never happen twice outside is unique on its own cause, not only by the inbox.
    CONSTRAINT one_message_per_cause UNIQUE (cause, kind),
    CONSTRAINT failures_have_reasons CHECK (status <> 'failed' OR reason IS NOT NULL),
    CONSTRAINT deliveries_have_days CHECK ((status = 'delivered') = (delivered_on IS NOT NULL)),
    CONSTRAINT texts_went_by_sms CHECK (status NOT IN ('sending', 'sent') OR medium = 'sms'),
    CONSTRAINT letters_are_letters CHECK (status <> 'letter_due' OR medium = 'letter'),
    CONSTRAINT work_has_a_time CHECK ((status IN ('queued', 'sending', 'sent')) = (next_try_at IS NOT NULL)),
    -- Kept no longer than it is needed.
    CONSTRAINT phones_are_forgotten CHECK (phone IS NULL OR status IN ('queued', 'sending', 'sent'))
);
CREATE INDEX messages_by_person ON messages (person_id, message_id);
CREATE INDEX messages_to_work_on ON messages (next_try_at) WHERE next_try_at IS NOT NULL;

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

-- How a person is reached now.
CREATE TABLE contacts (
    person_id text PRIMARY KEY,
    version   bigint NOT NULL,
    area      text NOT NULL,
    phone     text CHECK (phone LIKE 'sm4.%'),
    name      text CHECK (name LIKE 'sm4.%') -- only letters are addressed by it
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
    look_again_on    date,
    PRIMARY KEY (person_id, subsidy),
    CONSTRAINT amounts_have_a_month CHECK (told_amount_fen IS NULL OR told_since IS NOT NULL)
);
CREATE INDEX schedules_to_look_at ON schedules (look_again_on) WHERE look_again_on IS NOT NULL;
