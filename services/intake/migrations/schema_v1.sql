-- What intake keeps. Columns named sealed_… hold SM4-GCM texts bound to their table, row and column.

CREATE TABLE persons (
    person_id        text PRIMARY KEY,
    area             text NOT NULL,
    sealed_name      text NOT NULL,
    sealed_id_number text NOT NULL,
    sealed_phone     text,
    -- Who cannot act for themselves (notice 4.4): a minor until this day, by the certificate, or as found.
    adult_on         date,
    certificate      jsonb,
    incapacity       jsonb,
    payee_version    bigint NOT NULL DEFAULT 0,
    contact_version  bigint NOT NULL DEFAULT 0,
    cannot_act_told  boolean NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX persons_by_area ON persons (area text_pattern_ops, person_id);
CREATE INDEX persons_by_coming_of_age ON persons (adult_on) WHERE cannot_act_told;

CREATE TABLE applications (
    application_id     uuid PRIMARY KEY,
    receipt_no         text NOT NULL UNIQUE,
    person_id          text NOT NULL REFERENCES persons,
    area               text NOT NULL,
    accepted_area      text,
    channel            text NOT NULL CHECK (channel IN ('counter', 'online', 'cross_province', 'one_thing')),
    subsidies          text[] NOT NULL CHECK (subsidies <@ '{living,care}' AND cardinality(subsidies) > 0),
    applied_on         date NOT NULL,
    accrues_from       date NOT NULL CHECK (accrues_from >= applied_on),
    received_on        date NOT NULL CHECK (received_on >= applied_on),
    status             text NOT NULL
        CHECK (status IN ('submitted', 'in_review', 'returned', 'approved', 'rejected', 'withdrawn')),
    stage              text CHECK (stage IN ('township', 'cdpf', 'civil_affairs')),
    due_on             date,
    version            bigint NOT NULL CHECK (version > 0),
    facts              jsonb NOT NULL,
    sealed_declaration text NOT NULL,
    -- Who gave the latest opinion of each stage: three different persons.
    township_by        text,
    cdpf_by            text,
    civil_affairs_by   text,
    reviewed_on        date,
    decided_on         date,
    withdrawn_on       date,
    granted            text[] NOT NULL DEFAULT '{}',
    refused            jsonb NOT NULL DEFAULT '[]',
    reason             text,
    submitted_by       text NOT NULL,
    submitted_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT three_different_reviewers CHECK (
        township_by <> cdpf_by AND cdpf_by <> civil_affairs_by AND township_by <> civil_affairs_by),
    CONSTRAINT stage_while_open CHECK (
        CASE status WHEN 'submitted' THEN stage = 'township' WHEN 'returned' THEN stage IS NOT NULL
                    WHEN 'in_review' THEN true ELSE stage IS NULL END),
    CONSTRAINT due_while_open CHECK ((status IN ('submitted', 'in_review', 'returned')) = (due_on IS NOT NULL)),
    CONSTRAINT approved_by_three CHECK (status <> 'approved' OR (decided_on IS NOT NULL AND cardinality(granted) > 0
        AND township_by IS NOT NULL AND cdpf_by IS NOT NULL AND civil_affairs_by IS NOT NULL)),
    CONSTRAINT granted_as_applied CHECK (granted <@ subsidies),
    CONSTRAINT reason_of_refusal CHECK (status NOT IN ('rejected', 'returned') OR reason IS NOT NULL),
    CONSTRAINT withdrawn_on_a_day CHECK ((status = 'withdrawn') = (withdrawn_on IS NOT NULL))
);
CREATE INDEX applications_by_area ON applications (area text_pattern_ops, application_id);
CREATE INDEX applications_by_person ON applications (person_id);
CREATE INDEX applications_by_submitter ON applications (submitted_by, application_id);
CREATE INDEX applications_under_review ON applications (due_on) WHERE status IN ('submitted', 'in_review');

-- What became of each subsidy applied for. Open or granted, a person has each at most once.
CREATE TABLE applied_subsidies (
    application_id uuid NOT NULL REFERENCES applications,
    subsidy        text NOT NULL CHECK (subsidy IN ('living', 'care')),
    person_id      text NOT NULL REFERENCES persons,
    state          text NOT NULL CHECK (state IN ('open', 'granted', 'refused', 'closed', 'ended')),
    -- The newest entitlement known when it was granted: only a later one can tell that the spell has ended.
    granted_after_version bigint,
    PRIMARY KEY (application_id, subsidy),
    CHECK (state <> 'granted' OR granted_after_version IS NOT NULL)
);
CREATE UNIQUE INDEX once_open_or_granted ON applied_subsidies (person_id, subsidy) WHERE state IN ('open', 'granted');

CREATE TABLE reviews (
    application_id uuid NOT NULL REFERENCES applications,
    version        bigint NOT NULL,
    stage          text NOT NULL CHECK (stage IN ('township', 'cdpf', 'civil_affairs')),
    outcome        text NOT NULL CHECK (outcome IN ('approve', 'return', 'reject')),
    reason         text CHECK (outcome = 'approve' OR reason <> ''),
    sub            text NOT NULL,
    reviewed_on    date NOT NULL,
    reviewed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (application_id, version),
    CHECK (outcome = 'approve' OR reason IS NOT NULL)
);
CREATE TRIGGER reviews_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reviews
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Each judgement that eligibility gave on an application (application.assessed).
CREATE TABLE assessments (
    application_id      uuid NOT NULL,
    version             bigint NOT NULL,
    application_version bigint NOT NULL,
    policy_version      text NOT NULL,
    decisions           jsonb NOT NULL,
    assessed_at         timestamptz NOT NULL,
    PRIMARY KEY (application_id, version)
);

-- The newest schedule of each person and subsidy (entitlement.changed): its last payable month, null while open.
CREATE TABLE entitlements (
    person_id   text NOT NULL,
    subsidy     text NOT NULL CHECK (subsidy IN ('living', 'care')),
    version     bigint NOT NULL,
    is_open     boolean NOT NULL,
    last_period date CHECK (extract(day FROM last_period) = 1),
    PRIMARY KEY (person_id, subsidy),
    CHECK (NOT (is_open AND last_period IS NOT NULL))
);

CREATE TABLE guardians (
    guardian_id      uuid PRIMARY KEY,
    person_id        text NOT NULL REFERENCES persons,
    kind             text NOT NULL CHECK (kind IN ('person', 'institution')),
    sealed_guardian  text NOT NULL,
    effective_on     date NOT NULL,
    recorded_at      timestamptz NOT NULL DEFAULT now(),
    replaced_at      timestamptz CHECK (replaced_at >= recorded_at)
);
CREATE UNIQUE INDEX one_current_guardian ON guardians (person_id) WHERE replaced_at IS NULL;

CREATE TABLE accounts (
    account_id         uuid PRIMARY KEY,
    person_id          text NOT NULL REFERENCES persons,
    holder             text NOT NULL CHECK (holder IN ('own', 'guardian', 'institution')),
    status             text NOT NULL CHECK (status IN ('active', 'inactive', 'none')),
    bank               text,
    sealed_holder_name text NOT NULL,
    sealed_number      text,
    number_last4       text,
    number_token       text,
    reason             text,
    effective_on       date NOT NULL,
    recorded_at        timestamptz NOT NULL DEFAULT now(),
    replaced_at        timestamptz CHECK (replaced_at >= recorded_at),
    CHECK (status = 'none' OR (bank IS NOT NULL AND sealed_number IS NOT NULL AND number_last4 IS NOT NULL
        AND number_token IS NOT NULL)),
    CONSTRAINT reason_for_another_s_account CHECK (holder = 'own' OR reason <> '' AND reason IS NOT NULL)
);
CREATE UNIQUE INDEX one_current_account ON accounts (person_id) WHERE replaced_at IS NULL;
CREATE INDEX accounts_by_number ON accounts (number_token) WHERE replaced_at IS NULL AND number_token IS NOT NULL;

-- Proposed by one, approved by another (notice 4.4, 4.5).
CREATE TABLE changes (
    change_id    uuid PRIMARY KEY,
    person_id    text NOT NULL REFERENCES persons,
    kind         text NOT NULL CHECK (kind IN ('account', 'guardian')),
    sealed_body  text NOT NULL,
    effective_on date NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'replaced')),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    approved_by  text,
    approved_at  timestamptz,
    CONSTRAINT four_eyes CHECK (approved_by <> proposed_by),
    CHECK ((status = 'approved') = (approved_by IS NOT NULL AND approved_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_pending_change ON changes (person_id, kind) WHERE status = 'pending';
CREATE INDEX changes_by_person ON changes (person_id);

-- Documents are addressed by the digest of their content, encrypted with a key of their own, and never changed.
CREATE TABLE contents (
    sha256     text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size       bigint NOT NULL CHECK (size > 0),
    media_type text NOT NULL,
    sealed_key text NOT NULL,
    body       bytea NOT NULL
);
ALTER TABLE contents ALTER COLUMN body SET STORAGE EXTERNAL;  -- ciphertext does not compress

CREATE TABLE documents (
    document_id    uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    kind           text NOT NULL CHECK (kind IN ('id_card', 'certificate', 'commitment', 'choice', 'account',
                                                 'guardianship', 'incapacity', 'photo', 'other')),
    source         text NOT NULL CHECK (source IN ('online', 'scan', 'photo')),
    sha256         text NOT NULL REFERENCES contents,
    uploaded_by    text NOT NULL,
    uploaded_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (application_id, kind, sha256)
);
CREATE TRIGGER documents_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON documents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE objections (
    objection_id   uuid PRIMARY KEY,
    person_id      text NOT NULL REFERENCES persons,
    area           text NOT NULL,
    application_id uuid REFERENCES applications,
    subsidy        text CHECK (subsidy IN ('living', 'care')),
    period         date CHECK (extract(day FROM period) = 1),
    sealed_text    text NOT NULL,
    status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'upheld', 'dismissed')),
    filed_by       text NOT NULL,
    filed_on       date NOT NULL,
    filed_at       timestamptz NOT NULL DEFAULT now(),
    decided_by     text,
    decided_on     date,
    reason         text,
    CHECK (application_id IS NOT NULL OR (subsidy IS NOT NULL AND period IS NOT NULL)),
    CHECK ((status = 'open') = (decided_by IS NULL)),
    CHECK (status = 'open' OR (decided_on IS NOT NULL AND reason <> '' AND reason IS NOT NULL)),
    CONSTRAINT four_eyes CHECK (decided_by <> filed_by)
);
CREATE INDEX objections_by_area ON objections (area text_pattern_ops, objection_id);
CREATE INDEX objections_by_person ON objections (person_id);
