-- What intake keeps. Columns named sealed_… hold SM4-GCM texts bound to their table, row and column.

-- Each area's policy as eligibility told it last (policy.changed): every value with the day that it holds from.
CREATE TABLE policies (
    area           text PRIMARY KEY,
    version        bigint NOT NULL,
    policy_version text NOT NULL,
    "values"       jsonb NOT NULL
);

CREATE TABLE persons (
    person_id        text PRIMARY KEY,
    area             text NOT NULL,
    -- Name, resident ID and phone.
    sealed_identity  text NOT NULL,
    -- When the phone was given, where it was after the first application was.
    phone_given_at   timestamptz,
    -- Who cannot act for themselves (notice 4.4): a minor until this day, by the certificate, or as found.
    adult_on         date,
    certificate      jsonb,
    incapacity       jsonb,
    payee_version    bigint NOT NULL DEFAULT 0,
    contact_version  bigint NOT NULL DEFAULT 0,
    cannot_act_told  boolean NOT NULL DEFAULT false,
    -- A register names another guardian, or none any more: nothing is paid to the one on record (notice 4.5).
    guardian_in_question boolean NOT NULL DEFAULT false,
    -- Keyed digests by which two persons are seen to be alike.
    phone_token      text,
    name_birth_token text,
    -- A corrected resident ID: this person goes on under that id.
    merged_into      text REFERENCES persons CHECK (merged_into <> person_id),
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX persons_by_phone ON persons (phone_token) WHERE phone_token IS NOT NULL;
CREATE INDEX persons_by_name_and_birth ON persons (name_birth_token) WHERE name_birth_token IS NOT NULL;
CREATE INDEX persons_by_area ON persons (area text_pattern_ops, person_id);
CREATE INDEX persons_by_coming_of_age ON persons (adult_on) WHERE cannot_act_told;

-- Certificates as departments told them (certificate.issued, .renewed, .reassessed), known person or not. One that was
-- retracted before it was heard of is nothing else. `awaited`: until its day has come.
CREATE TABLE certificate_issues (
    fact_id     uuid PRIMARY KEY,
    person_id   text NOT NULL,
    occurred_on date,
    known_at    timestamptz,
    awaited     boolean NOT NULL DEFAULT false,
    certificate jsonb,
    retracted   boolean NOT NULL DEFAULT false,
    CHECK (num_nulls(occurred_on, known_at, certificate) = 0 OR retracted)
);
CREATE INDEX certificate_issues_by_person ON certificate_issues (person_id);
CREATE INDEX certificate_issues_awaited ON certificate_issues (occurred_on) WHERE awaited;

-- Rosters that were taken over (存量接管): the file lies encrypted in both archive stores. `position`: up to which row it
-- was read; everything up to there is in the tables, and nothing beyond. `decided_at`: everybody on it was decided on and
-- is known to disbursement.
CREATE TABLE roster_imports (
    import_id   uuid PRIMARY KEY,
    area        text NOT NULL,
    sha256      text NOT NULL,
    size        bigint NOT NULL,
    format      text NOT NULL CHECK (format IN ('csv', 'xlsx')),
    encoding    text NOT NULL,
    sealed_key  text NOT NULL,
    object_name text NOT NULL,
    rows        integer NOT NULL CHECK (rows >= 0),
    position    integer NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND rows),
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL,
    imported_on date NOT NULL,
    read_at     timestamptz,
    -- When recipients on it were decided on last, once it was read.
    answered_at timestamptz CHECK (answered_at >= read_at),
    decided_at  timestamptz CHECK (decided_at >= read_at),
    CONSTRAINT the_same_file_is_the_same_import UNIQUE (area, sha256)
);
CREATE INDEX roster_imports_by_area ON roster_imports (area text_pattern_ops, import_id);
CREATE INDEX roster_imports_under_way ON roster_imports (import_id) WHERE decided_at IS NULL;

-- Rows that were not taken, or of which policy refused something; `row` as a spreadsheet counts, `field` the column.
CREATE TABLE roster_rejects (
    import_id uuid NOT NULL REFERENCES roster_imports,
    row       integer NOT NULL,
    field     text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('invalid', 'known', 'refused', 'unpayable')),
    reason    text NOT NULL,
    reject_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
CREATE INDEX roster_rejects_by_row ON roster_rejects (import_id, row, reject_id);

CREATE TABLE applications (
    application_id     uuid PRIMARY KEY,
    receipt_no         text NOT NULL UNIQUE,
    person_id          text NOT NULL REFERENCES persons,
    area               text NOT NULL,
    accepted_area      text,
    channel            text NOT NULL CHECK (channel IN ('counter', 'online', 'cross_province', 'one_thing', 'roster')),
    -- The roster that it was taken over from.
    import_id          uuid REFERENCES roster_imports,
    subsidies          text[] NOT NULL CHECK (subsidies <@ '{living,care}' AND cardinality(subsidies) > 0),
    applied_on         date NOT NULL,
    -- The letter of notice and commitment as it was signed last (notice 1.2).
    committed_on       date,
    commitment_version text,
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
    account_token      text,
    submitted_by       text NOT NULL,
    submitted_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT three_different_reviewers CHECK (
        township_by <> cdpf_by AND cdpf_by <> civil_affairs_by AND township_by <> civil_affairs_by),
    CONSTRAINT stage_while_open CHECK (
        CASE status WHEN 'submitted' THEN stage = 'township' WHEN 'returned' THEN stage IS NOT NULL
                    WHEN 'in_review' THEN true ELSE stage IS NULL END),
    CONSTRAINT due_while_open CHECK ((status IN ('submitted', 'in_review', 'returned')) = (due_on IS NOT NULL)),
    CONSTRAINT approved_by_three CHECK (status <> 'approved' OR (decided_on IS NOT NULL AND cardinality(granted) > 0
        AND (channel = 'roster'
             OR (township_by IS NOT NULL AND cdpf_by IS NOT NULL AND civil_affairs_by IS NOT NULL)))),
    CONSTRAINT of_a_roster CHECK ((channel = 'roster') = (import_id IS NOT NULL)),
    CONSTRAINT granted_as_applied CHECK (granted <@ subsidies),
    CONSTRAINT reason_of_refusal CHECK (status NOT IN ('rejected', 'returned') OR reason IS NOT NULL),
    CONSTRAINT withdrawn_on_a_day CHECK ((status = 'withdrawn') = (withdrawn_on IS NOT NULL)),
    CONSTRAINT applications_by_person UNIQUE (person_id, application_id)
);
CREATE INDEX applications_by_area ON applications (area text_pattern_ops, application_id);
CREATE INDEX applications_by_accepting_area ON applications (accepted_area text_pattern_ops, application_id)
    WHERE accepted_area IS NOT NULL;
CREATE INDEX applications_by_account ON applications (account_token)
    WHERE account_token IS NOT NULL AND status IN ('submitted', 'in_review', 'returned');
CREATE INDEX applications_by_submitter ON applications (submitted_by, application_id);
CREATE INDEX applications_under_review ON applications (due_on) WHERE status IN ('submitted', 'in_review');

-- Each recipient of a roster that was taken: what had been paid before of each subsidy, and whether it is decided. Until
-- then `prepared` keeps what is put in force with the grant, sealed for its place: the rows of the account and the
-- guardian, and payee and contact as they are told. A recipient's applications are those of this import and person.
CREATE TABLE roster_entries (
    import_id uuid NOT NULL REFERENCES roster_imports,
    row       integer NOT NULL,
    person_id text NOT NULL,
    received  jsonb NOT NULL,
    prepared  jsonb,
    state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'granted', 'refused')),
    PRIMARY KEY (import_id, person_id),
    CHECK ((state = 'waiting') = (prepared IS NOT NULL))
);
-- Not compressed, for sealed texts cannot be; and not in the row, for a million of them are counted over and over.
ALTER TABLE roster_entries ALTER prepared SET STORAGE EXTERNAL;
CREATE INDEX roster_entries_waiting ON roster_entries (person_id) WHERE state = 'waiting';

-- What became of each subsidy applied for. Open or granted, a person has each at most once.
CREATE TABLE applied_subsidies (
    application_id uuid NOT NULL,
    subsidy        text NOT NULL CHECK (subsidy IN ('living', 'care')),
    -- Always the application's own.
    person_id      text NOT NULL,
    state          text NOT NULL CHECK (state IN ('open', 'granted', 'refused', 'closed', 'ended')),
    -- The newest entitlement known when it was granted: only a later one can tell that the spell has ended.
    granted_after_version bigint,
    PRIMARY KEY (application_id, subsidy),
    FOREIGN KEY (person_id, application_id) REFERENCES applications (person_id, application_id) ON UPDATE CASCADE,
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

-- Who confirmed a finding about whom, who pushed a fact (finding.confirmed, fact.pushed): they do not decide on the
-- objection against the stop.
CREATE TABLE vouchings (
    vouching_id uuid PRIMARY KEY,
    person_id   text NOT NULL,
    sub         text NOT NULL
);
CREATE INDEX vouchings_by_person ON vouchings (person_id);

-- Whose policy holds in an area: its own, or that of the nearest area around it.
CREATE FUNCTION nearest_policy(of_area text) RETURNS TABLE (area text, policy_version text) LANGUAGE sql STABLE AS $$
    SELECT o.area, o.policy_version FROM policies o WHERE starts_with(of_area, o.area) ORDER BY length(o.area) DESC LIMIT 1
$$;

-- What is to be known before applications of these persons, in these areas, are filed, behind the persons' locks: each
-- statement of the function sees what was committed when it starts, so one round trip is enough.
CREATE FUNCTION before_filing(person_ids text[], areas text[], this_period date)
RETURNS TABLE (id text, known jsonb, has_own_card boolean, taken jsonb, policy_area text, policy_version text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM lock_keys(person_ids);
    RETURN QUERY SELECT a.person_id, to_jsonb(p),
        EXISTS (SELECT FROM accounts c WHERE c.person_id = a.person_id AND c.replaced_at IS NULL
                AND c.holder = 'own' AND c.status = 'active'),
        -- A granted one is over once a schedule newer than the grant has no month after this period.
        (SELECT jsonb_agg(jsonb_build_object('application_id', s.application_id, 'subsidy', s.subsidy, 'has_ended',
            COALESCE(s.state = 'granted' AND e.version > s.granted_after_version AND NOT e.is_open
                     AND COALESCE(e.last_period, '-infinity') <= this_period, false)) ORDER BY s.subsidy)
         FROM applied_subsidies s LEFT JOIN entitlements e USING (person_id, subsidy)
         WHERE s.person_id = a.person_id AND s.state IN ('open', 'granted')),
        n.area, n.policy_version
    FROM unnest(person_ids, areas) AS a(person_id, area) LEFT JOIN persons p ON p.person_id = a.person_id
    LEFT JOIN LATERAL nearest_policy(a.area) n ON true;
END $$;

-- NULL if it is `supposed` what is known of these persons; or, where nothing is, nobody knows them yet and the areas that
-- they apply in still have the policy that they were taken to have. Else what `before_filing` finds, behind the locks.
CREATE FUNCTION standing_otherwise(person_ids text[], areas text[], policy_areas text[], policy_versions text[],
    this_period date, supposed jsonb)
RETURNS jsonb LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM lock_keys(person_ids);
    -- Who is not known has no account and has applied for nothing: there is no more to look for.
    IF supposed IS NULL AND NOT EXISTS (SELECT FROM persons p WHERE p.person_id = ANY (person_ids))
       AND NOT EXISTS (
           SELECT FROM unnest(areas, policy_areas, policy_versions) AS a(area, policy_area, policy_version)
           LEFT JOIN LATERAL nearest_policy(a.area) n ON true
           WHERE (n.area, n.policy_version) IS DISTINCT FROM (a.policy_area, a.policy_version))
    THEN RETURN NULL; END IF;
    RETURN (SELECT NULLIF(jsonb_agg(b ORDER BY b.id), supposed) FROM before_filing(person_ids, areas, this_period) b);
END $$;

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
    -- Organisation code of the guardian who holds it, where that is an institution (notice 4.6).
    institution        text CHECK ((institution IS NOT NULL) = (holder = 'institution')),
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
    kind         text NOT NULL CHECK (kind IN ('account', 'guardian', 'id_number')),
    sealed_body  text NOT NULL,
    effective_on date NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'replaced')),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    approved_by  text,
    approved_at  timestamptz,
    rejected_by  text,
    rejected_at  timestamptz,
    reason       text,
    -- What departments' registers said against it when it was proposed; approved all the same, it has its reason.
    against      text[] NOT NULL DEFAULT '{}',
    CONSTRAINT four_eyes CHECK (approved_by <> proposed_by AND rejected_by <> proposed_by),
    CHECK ((status = 'rejected') = (rejected_by IS NOT NULL AND rejected_at IS NOT NULL)),
    CHECK (status <> 'rejected' OR reason IS NOT NULL),
    CHECK ((status = 'approved') = (approved_by IS NOT NULL AND approved_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_pending_change ON changes (person_id, kind) WHERE status = 'pending';
CREATE INDEX changes_by_person ON changes (person_id);

-- Which id a person goes by now: a resident ID may have been corrected, more than once.
CREATE FUNCTION goes_on_as(told_as text) RETURNS text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE ids AS (
        SELECT told_as AS person_id
        UNION SELECT p.merged_into FROM ids JOIN persons p USING (person_id) WHERE p.merged_into IS NOT NULL
    )
    SELECT person_id FROM ids
    WHERE NOT EXISTS (SELECT FROM persons p WHERE p.person_id = ids.person_id AND p.merged_into IS NOT NULL)
$$;

-- What the registers of cards, guardianships and institutions say of a person, whole (register.told); on `looked_at_on`
-- it says something else. Not `listed`: it names the person no more, and this is what it said last.
CREATE TABLE registers (
    person_id    text NOT NULL,
    source       text NOT NULL CHECK (source IN ('social_cards', 'guardianships', 'institution_residents')),
    version      bigint NOT NULL,
    as_of        date NOT NULL,
    listed       boolean NOT NULL DEFAULT true,
    entries      jsonb NOT NULL,
    looked_at_on date,
    PRIMARY KEY (person_id, source)
);
CREATE INDEX registers_by_day ON registers (looked_at_on) WHERE looked_at_on IS NOT NULL;

-- What a register says that is not so on record (notice 4.4 to 4.6): a lead for the township, which proposes a change.
-- `done`: they say the same again. One that was dismissed, by two, comes back only when the register says other.
CREATE TABLE register_leads (
    lead_id      uuid PRIMARY KEY,
    person_id    text NOT NULL,
    kind         text NOT NULL,
    source       text NOT NULL,
    as_of        date NOT NULL,
    said         jsonb NOT NULL,
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done', 'dismissed')),
    opened_on    date NOT NULL,
    due_on       date NOT NULL,
    closed_on    date,
    dismissal_proposed_by text,
    reason       text,
    dismissed_by text,
    CHECK ((status = 'open') = (closed_on IS NULL)),
    CHECK ((dismissal_proposed_by IS NULL) = (reason IS NULL)),
    CHECK ((status = 'dismissed') = (dismissed_by IS NOT NULL)),
    CONSTRAINT dismissed_by_two
        CHECK (dismissed_by IS NULL OR (dismissal_proposed_by IS NOT NULL AND dismissed_by <> dismissal_proposed_by))
);
CREATE UNIQUE INDEX one_open_register_lead ON register_leads (person_id, kind) WHERE status = 'open';
CREATE INDEX register_leads_by_person ON register_leads (person_id, kind);

-- Contents are addressed by their digest and lie encrypted, each under a key of its own, in two stores (notice 5.2)
-- under `object_name`; what lies there is written once.
CREATE TABLE contents (
    sha256      text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size        bigint NOT NULL CHECK (size > 0),
    media_type  text NOT NULL,
    sealed_key  text NOT NULL,
    object_name text NOT NULL UNIQUE,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    checked_at  timestamptz
);
CREATE INDEX contents_by_last_check ON contents (checked_at NULLS FIRST, sha256);

CREATE TABLE documents (
    document_id    uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    kind           text NOT NULL CHECK (kind IN ('id_card', 'certificate', 'commitment', 'choice', 'account',
                                                 'guardianship', 'incapacity', 'photo', 'other')),
    source         text NOT NULL CHECK (source IN ('online', 'scan', 'photo')),
    sha256         text NOT NULL REFERENCES contents,
    uploaded_by    text NOT NULL,
    uploaded_at    timestamptz NOT NULL DEFAULT now(),
    -- A correction is a new version of an earlier document, which stays.
    replaces       uuid UNIQUE REFERENCES documents CHECK (replaces <> document_id),
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
    due_on         date NOT NULL,
    decided_by     text,
    decided_on     date,
    reason         text,
    -- Upheld, either an application is reviewed (again, or this new one), or civil affairs looks into it by a day.
    new_application_id uuid REFERENCES applications,
    handle_by      date,
    handled_by     text,
    handled_on     date,
    handling       text CHECK (handling <> ''),
    CHECK (status = 'upheld' OR (new_application_id IS NULL AND handle_by IS NULL)),
    CHECK (handled_on IS NULL OR handle_by IS NOT NULL),
    CHECK ((handled_on IS NULL) = (handled_by IS NULL) AND (handled_on IS NULL) = (handling IS NULL)),
    CHECK (application_id IS NOT NULL OR (subsidy IS NOT NULL AND period IS NOT NULL)),
    CHECK ((status = 'open') = (decided_by IS NULL)),
    CHECK (status = 'open' OR (decided_on IS NOT NULL AND reason <> '' AND reason IS NOT NULL)),
    CONSTRAINT four_eyes CHECK (decided_by <> filed_by)
);
CREATE INDEX objections_by_area ON objections (area text_pattern_ops, objection_id);
CREATE INDEX objections_by_person ON objections (person_id);

-- Each check that read both stores back: what it found, and what it repaired from the other store.
CREATE TABLE archive_store_checks (
    check_id   uuid PRIMARY KEY,
    checked_at timestamptz NOT NULL DEFAULT now(),
    asked_by   text NOT NULL,
    checked    bigint NOT NULL,
    repaired   jsonb NOT NULL,
    lost       text[] NOT NULL
);

-- The upload of each document to the national system, and its receipt (notice 5.1).
CREATE TABLE national_uploads (
    document_id uuid PRIMARY KEY REFERENCES documents,
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'received', 'refused')),
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    receipt_no  text,
    received_at timestamptz,
    problem     text,
    CHECK ((state = 'received') = (receipt_no IS NOT NULL AND received_at IS NOT NULL))
);
CREATE INDEX national_uploads_due ON national_uploads (due_at) WHERE state = 'pending';

-- Cross-province (跨省通办): forwarded by the accepting place, decided by the deciding one, told by the accepting one.
CREATE TABLE forwardings (
    application_id uuid PRIMARY KEY REFERENCES applications,
    accepted_area  text NOT NULL,
    deciding_area  text NOT NULL,
    forward_due_on date NOT NULL,
    forwarded_on   date,
    forwarded_by   text,
    decide_due_on  date,
    decided_on     date,
    tell_due_on    date,
    told_on        date CHECK (told_on >= decided_on),
    told_by        text,
    CHECK ((forwarded_on IS NULL) = (decide_due_on IS NULL)),
    CHECK ((decided_on IS NULL) = (tell_due_on IS NULL)),
    CHECK (decided_on IS NULL OR forwarded_on IS NOT NULL),
    CHECK ((told_on IS NULL) = (told_by IS NULL))
);
CREATE INDEX forwardings_open ON forwardings (accepted_area text_pattern_ops) WHERE told_on IS NULL;

-- A move between counties, proposed by one side and accepted, or not, by the county moved to.
CREATE TABLE transfers (
    transfer_id uuid PRIMARY KEY,
    person_id   text NOT NULL REFERENCES persons,
    from_area   text NOT NULL,
    to_area     text NOT NULL CHECK (left(to_area, 6) <> left(from_area, 6)),
    moved_on    date NOT NULL,
    status      text NOT NULL DEFAULT 'proposed' CHECK (status IN ('proposed', 'accepted', 'refused')),
    due_on      date NOT NULL,
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL,
    decided_by  text,
    decided_on  date,
    reason      text,
    CONSTRAINT four_eyes CHECK (decided_by <> proposed_by),
    CHECK ((status = 'proposed') = (decided_by IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_on IS NULL)),
    CHECK (status <> 'refused' OR reason IS NOT NULL)
);
CREATE UNIQUE INDEX one_open_transfer ON transfers (person_id) WHERE status = 'proposed';
CREATE INDEX transfers_by_person ON transfers (person_id);
CREATE INDEX transfers_by_arrival ON transfers (to_area text_pattern_ops, transfer_id);
CREATE INDEX transfers_by_origin ON transfers (from_area text_pattern_ops, transfer_id);

-- What an office is late with, brought before the office above it by the daily run; once for each deadline.
CREATE TABLE escalations (
    escalation_id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind          text NOT NULL,
    subject_id    uuid NOT NULL,
    office        text NOT NULL,
    area          text NOT NULL,
    escalated_to  text NOT NULL,
    due_on        date NOT NULL,
    escalated_on  date NOT NULL,
    resolved_on   date,
    UNIQUE (kind, subject_id, office, due_on)
);
CREATE INDEX escalations_by_area ON escalations (area text_pattern_ops, escalation_id);

-- How many months may lie between two spot checks by one body: by the policy of the nearest area that has one; a year before
-- any was told.
CREATE FUNCTION months_between_checks(of_area text, on_day date) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT (value ->> 'value')::integer
        FROM (SELECT "values" FROM policies WHERE starts_with(of_area, area) ORDER BY length(area) DESC LIMIT 1) AS nearest
        CROSS JOIN jsonb_array_elements("values") AS value
        WHERE value ->> 'parameter' = 'archive.check_months' AND (value ->> 'since')::date <= on_day
        ORDER BY value ->> 'since' DESC
        LIMIT 1
    ), 12)
$$;

-- Spot checks of archives (抽查, notice 5.3): a sample that the seed draws again, a verdict for each, and what is missing.
CREATE TABLE archive_checks (
    archive_check_id uuid PRIMARY KEY,
    area             text NOT NULL,
    period           date NOT NULL CHECK (extract(day FROM period) = 1),
    sample_size      integer NOT NULL CHECK (sample_size > 0),
    seed             text NOT NULL,
    population       integer NOT NULL,
    body             text NOT NULL,
    drawn_by         text NOT NULL,
    drawn_at         timestamptz NOT NULL
);
CREATE INDEX archive_checks_by_area ON archive_checks (area text_pattern_ops, archive_check_id);

CREATE TABLE archive_check_items (
    archive_check_id uuid NOT NULL REFERENCES archive_checks,
    application_id   uuid NOT NULL REFERENCES applications,
    stratum          text NOT NULL,
    verdict          text CHECK (verdict IN ('complete', 'missing')),
    missing          text[] NOT NULL DEFAULT '{}',
    judged_by        text,
    judged_at        timestamptz,
    PRIMARY KEY (archive_check_id, application_id),
    CHECK ((verdict IS NULL) = (judged_by IS NULL)),
    CHECK (verdict IS NULL OR (verdict = 'missing') = (cardinality(missing) > 0))
);

-- The four bodies that draw spot checks, from their first application on: when each drew last, and is to draw again.
CREATE FUNCTION check_duties(on_day date) RETURNS TABLE (area text, office text, drawn_on date, due_on date)
LANGUAGE sql STABLE AS $$
    SELECT c.area, b.office, max(d.drawn_on),
        CAST(greatest(c.since, max(d.drawn_on)) + make_interval(months => months_between_checks(c.area, on_day)) AS date)
    FROM (SELECT left(a.area, digits) AS area, min(a.received_on) AS since
          FROM applications a CROSS JOIN (VALUES (4), (6)) AS level (digits) GROUP BY 1) AS c
    CROSS JOIN (VALUES ('civil_affairs'), ('cdpf')) AS b (office)
    LEFT JOIN (SELECT k.area, k.body, CAST(k.drawn_at AT TIME ZONE 'Asia/Shanghai' AS date) AS drawn_on
               FROM archive_checks k) AS d
        ON starts_with(d.area, c.area)
        AND d.body = CASE length(c.area) WHEN 4 THEN 'prefecture ' ELSE 'county ' END || b.office
    GROUP BY c.area, b.office, c.since
$$;

CREATE TABLE completion_tasks (
    task_id          uuid PRIMARY KEY DEFAULT uuidv7(),
    archive_check_id uuid NOT NULL REFERENCES archive_checks,
    application_id   uuid NOT NULL REFERENCES applications,
    kind             text NOT NULL,
    area             text NOT NULL,
    opened_on        date NOT NULL,
    due_on           date NOT NULL,
    document_id      uuid REFERENCES documents,
    done_on          date,
    CHECK ((document_id IS NULL) = (done_on IS NULL)),
    UNIQUE (archive_check_id, application_id, kind)
);
CREATE INDEX completion_tasks_by_area ON completion_tasks (area text_pattern_ops, task_id);
CREATE INDEX completion_tasks_open ON completion_tasks (application_id, kind) WHERE done_on IS NULL;

-- Where a partner wants to be told of its applications (Standard Webhooks).
CREATE TABLE webhooks (
    sub           text PRIMARY KEY,
    url           text NOT NULL,
    sealed_secret text NOT NULL,
    set_at        timestamptz NOT NULL
);

CREATE TABLE webhook_deliveries (
    delivery_id  uuid PRIMARY KEY DEFAULT uuidv7(),
    sub          text NOT NULL,
    application_id uuid NOT NULL,
    body         text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    dead_at      timestamptz,
    problem      text,
    CHECK (delivered_at IS NULL OR dead_at IS NULL)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX webhook_deliveries_by_sub ON webhook_deliveries (sub, delivery_id);

-- In the transaction of the change, whatever changed it: no status goes untold.
CREATE FUNCTION tell_partner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (sub, application_id, body)
    SELECT w.sub, NEW.application_id, jsonb_build_object(
        'type', 'application.status_changed', 'timestamp', clock_timestamp(), 'data', jsonb_build_object(
            'application_id', NEW.application_id, 'person_id', NEW.person_id, 'receipt_no', NEW.receipt_no,
            'version', NEW.version, 'status', NEW.status, 'stage', NEW.stage, 'due_on', NEW.due_on,
            'decided_on', NEW.decided_on, 'granted', NEW.granted))
    FROM webhooks w WHERE w.sub = NEW.submitted_by;
    RETURN NULL;
END $$;
CREATE TRIGGER partner_is_told AFTER UPDATE ON applications FOR EACH ROW
    WHEN (NEW.channel <> 'roster' AND (OLD.status IS DISTINCT FROM NEW.status OR OLD.stage IS DISTINCT FROM NEW.stage))
    EXECUTE FUNCTION tell_partner();

-- Receipts of delivery (送达回证) of the papers that a person is handed.
CREATE TABLE paper_deliveries (
    delivery_id    uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    kind           text NOT NULL,
    delivered_on   date NOT NULL,
    method         text NOT NULL CHECK (method IN ('in_person', 'post', 'message', 'left')),
    received_by    text NOT NULL,
    recorded_by    text NOT NULL,
    recorded_at    timestamptz NOT NULL
);
CREATE INDEX paper_deliveries_by_application ON paper_deliveries (application_id, delivery_id);

-- Since when the letter of notice and commitment (notice 1.2) and the service guide (notice 6.3) of an area that has
-- policy of its own read as they do.
CREATE TABLE publications (
    kind           text NOT NULL CHECK (kind IN ('letter', 'guide')),
    area           text NOT NULL,
    published_on   date NOT NULL,
    policy_version text NOT NULL,
    digest         text NOT NULL,
    PRIMARY KEY (kind, area, published_on)
);
