-- A department's file, taken in once. Its rows lie in Parquet (LIANGBU_DATA_DIR), keyed by person_id.
CREATE TABLE feeds (
    feed_id       uuid PRIMARY KEY,
    source        text NOT NULL,
    area          text NOT NULL,
    as_of         date NOT NULL,
    mode          text NOT NULL CHECK (mode IN ('delta', 'snapshot')),
    digest        text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    status        text NOT NULL CHECK (status IN ('received', 'stored', 'quarantined', 'ready', 'refused')),
    authoritative boolean NOT NULL,
    sent_by       text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    accepted      bigint,
    rejected      bigint,
    stored_digest text,
    facts         bigint NOT NULL DEFAULT 0,
    refusal       text,
    notices       text[] NOT NULL DEFAULT '{}',
    released_by   text,
    released_at   timestamptz,
    release_note  text,
    CONSTRAINT the_same_file_is_the_same_feed UNIQUE (source, area, as_of, mode, digest),
    CONSTRAINT stored_feeds_are_counted
        CHECK (status IN ('received', 'refused') OR num_nulls(accepted, rejected, stored_digest) = 0),
    CONSTRAINT a_refusal_has_its_reason CHECK ((status = 'refused') = (refusal IS NOT NULL)),
    CONSTRAINT who_released_it_is_known CHECK (num_nulls(released_by, released_at, release_note) IN (0, 3))
);
CREATE INDEX feeds_by_source ON feeds (source, as_of);

-- Every dated assertion that was published, as it was. `area` tells who may see it; `about` of which benefit and the like
-- it is, where a person may have several of one kind.
CREATE TABLE facts (
    fact_id     uuid PRIMARY KEY,
    person_id   text NOT NULL,
    kind        text NOT NULL,
    about       text NOT NULL DEFAULT '',
    occurred_on date NOT NULL,
    known_at    timestamptz NOT NULL,
    source      text NOT NULL,
    area        text NOT NULL,
    data        jsonb NOT NULL,
    feed_id     uuid REFERENCES feeds,
    finding_id  uuid,
    asserted_by text NOT NULL,
    retracts    uuid REFERENCES facts,
    CONSTRAINT only_a_retraction_retracts CHECK ((kind = 'fact.retracted') = (retracts IS NOT NULL)),
    CONSTRAINT a_fact_is_retracted_once UNIQUE (retracts)
);
CREATE INDEX facts_by_person ON facts (person_id, kind);
CREATE INDEX facts_by_kind ON facts (kind text_pattern_ops);
-- Whose a fact is may change, when two ids turn out to be one person; what it says may not.
CREATE TRIGGER facts_append_only BEFORE DELETE OR TRUNCATE
    OR UPDATE OF fact_id, kind, about, occurred_on, known_at, source, area, data, feed_id, finding_id, asserted_by, retracts
    ON facts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE VIEW standing_facts AS
    SELECT f.* FROM facts f
    WHERE f.kind <> 'fact.retracted' AND NOT EXISTS (SELECT 1 FROM facts r WHERE r.retracts = f.fact_id);

-- Who receives what: the newest entitlement.changed of each person and subsidy.
CREATE TABLE roster (
    person_id       text NOT NULL,
    subsidy         text NOT NULL CHECK (subsidy IN ('living', 'care')),
    version         bigint NOT NULL,
    area            text NOT NULL,
    schedule        jsonb NOT NULL,
    stopped_because text,
    PRIMARY KEY (person_id, subsidy)
);

-- What the registers of cards, guardianships and institutions said last, as it was told to intake (notice 4.4 to 4.6), and
-- of which area. Who is not `listed` was missing from a whole register since.
CREATE TABLE registers_told (
    person_id text NOT NULL,
    source    text NOT NULL,
    version   bigint NOT NULL,
    area      text NOT NULL,
    as_of     date NOT NULL,
    entries   jsonb NOT NULL,
    listed    boolean NOT NULL DEFAULT true,
    PRIMARY KEY (person_id, source)
);

CREATE TABLE applications (
    application_id uuid PRIMARY KEY,
    person_id      text NOT NULL,
    version        bigint NOT NULL,
    area           text NOT NULL,
    status         text NOT NULL,
    applied_on     date NOT NULL,
    certificate    jsonb
);
CREATE INDEX applications_by_person ON applications (person_id);

-- What persons are called who applied or were taken over, where no feed names them: sealed as the event told it; for the
-- contact's place, without an event, of who was taken over.
CREATE TABLE contact_names (
    person_id text PRIMARY KEY,
    version   bigint NOT NULL,
    event_id  uuid,
    name      text NOT NULL CHECK (name LIKE 'sm4.%')
);

CREATE TABLE comparisons (
    comparison_id uuid PRIMARY KEY,
    level         text NOT NULL CHECK (level IN ('county', 'prefecture', 'province', 'annual')),
    area          text NOT NULL,
    as_of         date NOT NULL,
    status        text NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    inputs        jsonb NOT NULL,
    missing       jsonb NOT NULL,
    roster_digest text,
    rules         jsonb,
    compared      bigint NOT NULL DEFAULT 0,
    found_digest  text,
    leads         bigint NOT NULL DEFAULT 0,
    noted         bigint NOT NULL DEFAULT 0,
    findings      bigint NOT NULL DEFAULT 0,
    by_kind       jsonb NOT NULL DEFAULT '{}',
    discrepancies bigint NOT NULL DEFAULT 0,
    digest        text,
    failure       text,
    run_by        text NOT NULL,
    run_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_completed_run_noted_all
        CHECK (status <> 'completed' OR (noted = leads AND num_nulls(roster_digest, rules, found_digest, digest) = 0)),
    CONSTRAINT a_failed_run_has_its_reason CHECK ((status = 'failed') = (failure IS NOT NULL))
);
CREATE INDEX running_comparisons ON comparisons (comparison_id) WHERE status = 'running';

-- The texts of rules (`sql/`) that comparisons ran, by digest: an old one is run again under its own.
CREATE TABLE rule_texts (
    digest text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    name   text NOT NULL,
    body   text NOT NULL
);
CREATE TRIGGER rule_texts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rule_texts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What sources say that does not fit together: notes with evidence, which stop nothing.
CREATE TABLE discrepancies (
    discrepancy_id uuid PRIMARY KEY,
    comparison_id  uuid NOT NULL REFERENCES comparisons,
    person_id      text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('other_name', 'other_id', 'two_dates')),
    area           text NOT NULL,
    source         text NOT NULL,
    other_source   text NOT NULL,
    mark           text NOT NULL,
    evidence       jsonb NOT NULL,
    noted_on       date NOT NULL,
    status         text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    note           text,
    resolved_by    text,
    resolved_at    timestamptz,
    CONSTRAINT a_discrepancy_is_noted_once UNIQUE (person_id, kind, source, other_source, mark),
    CONSTRAINT who_resolved_it_is_known CHECK ((status = 'open') = (num_nonnulls(note, resolved_by, resolved_at) = 0))
);
CREATE INDEX discrepancies_by_area ON discrepancies (area text_pattern_ops, discrepancy_id);

CREATE TABLE ledger_entries (
    comparison_id uuid NOT NULL REFERENCES comparisons,
    seq           bigint NOT NULL CHECK (seq >= 0),
    body          text NOT NULL,
    hash          text NOT NULL,
    PRIMARY KEY (comparison_id, seq)
);
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A lead about a person until somebody has verified it.
CREATE TABLE findings (
    finding_id    uuid PRIMARY KEY,
    person_id     text NOT NULL,
    kind          text NOT NULL,
    about         text NOT NULL DEFAULT '',
    area          text NOT NULL,
    status        text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'confirmed', 'dismissed')),
    version       bigint NOT NULL DEFAULT 1,
    alleged_on    date NOT NULL,
    hold_from     text NOT NULL CHECK (hold_from ~ '^\d{4}-\d{2}$'),
    opened_on     date NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    due_on        date NOT NULL,
    overdue_since date,
    assigned_to   text,
    decision      text CHECK (decision IN ('keep', 'release')),
    decided_by    text,
    decided_on    date,
    decision_note text,
    detail        jsonb NOT NULL DEFAULT '{}',
    comparison_id uuid REFERENCES comparisons,
    method        text CHECK (method IN ('visit', 'video', 'face', 'phone', 'document')),
    effective_on  date,
    note          text,
    evidence      jsonb,
    verified_by   text,
    verified_at   timestamptz,
    fact_id       uuid REFERENCES facts,
    CONSTRAINT who_verified_is_known CHECK ((status = 'open') = (num_nonnulls(method, verified_by, verified_at) = 0)),
    CONSTRAINT who_decided_is_known CHECK (num_nulls(decision, decided_by, decided_on, decision_note) IN (0, 4)),
    CONSTRAINT no_lead_of_death_is_released
        CHECK (decision <> 'release' OR kind NOT IN ('person.died', 'person.declared_dead')),
    CONSTRAINT confirmed_means_a_fact CHECK ((status = 'confirmed') = (fact_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_open_finding_of_a_kind ON findings (person_id, kind, about) WHERE status = 'open';
CREATE INDEX findings_by_area ON findings (area text_pattern_ops, finding_id);
CREATE INDEX findings_by_person ON findings (person_id);

-- What was said that a finding rests on. The same claim of the same source is known for good, whatever became of it. The
-- name that a feed gave stays in the feed, at `feed_row`.
CREATE TABLE claims (
    claim_id    uuid NOT NULL,
    finding_id  uuid NOT NULL REFERENCES findings,
    person_id   text NOT NULL,
    kind        text NOT NULL,
    about       text NOT NULL DEFAULT '',
    source      text NOT NULL,
    alleged_on  date NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    feed_id     uuid REFERENCES feeds,
    feed_row    bigint,
    reported_by text,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (finding_id, claim_id),
    CONSTRAINT a_claim_is_noted_once UNIQUE (person_id, kind, about, source, alleged_on),
    CONSTRAINT a_row_is_of_a_feed CHECK ((feed_id IS NULL) = (feed_row IS NULL))
);

-- Each township's part of the monthly comparison: changes reported, or none (无变化), signed.
CREATE TABLE monthly_signoffs (
    area      text NOT NULL,
    period    text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    changes   boolean NOT NULL,
    signed_by text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (area, period)
);

-- What matching keeps of a person besides facts: the year of birth, for proofs of life, and whose id this one became.
CREATE TABLE persons (
    person_id   text PRIMARY KEY,
    birth_year  integer CHECK (birth_year BETWEEN 1850 AND 2200),
    merged_into text,
    CONSTRAINT nobody_is_merged_into_themselves CHECK (merged_into <> person_id)
);

-- Who is to be told of the subsidies, and how far it has come (notice 1).
CREATE TABLE outreach (
    outreach_id           uuid PRIMARY KEY,
    person_id             text NOT NULL,
    area                  text NOT NULL,
    because               text NOT NULL CHECK (because IN ('entered_low_income', 'certified', 'qualifies_again')),
    status                text NOT NULL DEFAULT 'identified'
        CHECK (status IN ('identified', 'reminding', 'task', 'reminded', 'applied', 'lapsed', 'closed')),
    version               bigint NOT NULL DEFAULT 1,
    began_on              date NOT NULL,
    identified_on         date NOT NULL,
    remind_by             date NOT NULL,
    prescreened_on        date,
    eligible              jsonb,
    decisions             jsonb,
    reminder_requested_on date,
    reminded_on           date,
    reminded_by           text CHECK (reminded_by IN ('sms', 'letter', 'phone', 'visit', 'video')),
    lapses_after          date,
    task_due_on           date,
    alarm_since           date,
    applied_on            date,
    lapsed_on             date,
    closed_on             date,
    closed_because        text,
    note                  text,
    CONSTRAINT how_they_were_reminded_is_known CHECK ((reminded_on IS NULL) = (reminded_by IS NULL)),
    CONSTRAINT only_a_timely_reminder_can_be_waived
        CHECK (lapsed_on IS NULL OR (reminded_on <= remind_by AND lapsed_on > remind_by)),
    CONSTRAINT a_lapse_has_its_day CHECK (status <> 'lapsed' OR lapsed_on IS NOT NULL),
    CONSTRAINT a_closed_one_has_its_reason CHECK ((status = 'closed') = (closed_because IS NOT NULL))
);
CREATE UNIQUE INDEX one_open_outreach_of_a_person ON outreach (person_id)
    WHERE status IN ('identified', 'reminding', 'task', 'reminded');
CREATE INDEX outreach_by_area ON outreach (area text_pattern_ops, outreach_id);

-- Who has to be seen alive by when (生存验证), and what came of it.
CREATE TABLE proofs_of_life (
    proof_id   uuid PRIMARY KEY,
    person_id  text NOT NULL,
    area       text NOT NULL,
    status     text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'done')),
    risk       text NOT NULL CHECK (risk IN ('high', 'normal')),
    because    text NOT NULL CHECK (because IN ('interval', 'age', 'earlier_lead', 'not_seen')),
    last_sign_on date NOT NULL,
    due_on     date NOT NULL,
    late_after date NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    tried      jsonb NOT NULL DEFAULT '[]',
    outcome    text CHECK (outcome IN ('alive', 'dead', 'missing', 'stopped')),
    method     text CHECK (method IN ('visit', 'video', 'face', 'phone', 'document')),
    proved_on  date,
    proved_by  text,
    finding_id uuid REFERENCES findings,
    CONSTRAINT a_proof_that_is_done_has_its_outcome CHECK ((status = 'done') = (outcome IS NOT NULL))
);
CREATE UNIQUE INDEX one_open_proof_of_a_person ON proofs_of_life (person_id) WHERE status = 'open';
CREATE INDEX proofs_of_life_by_person ON proofs_of_life (person_id, proved_on);
CREATE INDEX proofs_of_life_due ON proofs_of_life (due_on) WHERE status = 'open';

-- Files that prove what was found out, sealed on disk under their digest (SM3).
CREATE TABLE evidence (
    evidence_id uuid PRIMARY KEY,
    person_id   text NOT NULL,
    area        text NOT NULL,
    subject     text NOT NULL,
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    size_bytes  bigint NOT NULL CHECK (size_bytes > 0),
    media_type  text NOT NULL,
    stored_by   text NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_file_proves_a_thing_once UNIQUE (subject, digest)
);
CREATE TRIGGER evidence_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF evidence_id, digest, size_bytes, subject
    ON evidence FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a face recognition provider answered about a person.
CREATE TABLE face_checks (
    face_check_id uuid PRIMARY KEY,
    person_id     text NOT NULL,
    subject       text NOT NULL,
    evidence_id   uuid NOT NULL REFERENCES evidence,
    matched       boolean NOT NULL,
    provider_ref  text NOT NULL,
    checked_by    text NOT NULL,
    checked_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX face_checks_by_subject ON face_checks (subject, face_check_id);

-- Reviews that are planned: the province's of June and December, prefectures' own, and the yearly full one (notice 3).
CREATE TABLE duty_plans (
    plan_id         uuid PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('county', 'prefecture', 'province', 'annual')),
    area            text NOT NULL,
    planned_on      date NOT NULL,
    due_on          date NOT NULL,
    status          text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'done')),
    override_reason text,
    planned_by      text NOT NULL,
    planned_at      timestamptz NOT NULL DEFAULT now(),
    comparison_id   uuid REFERENCES comparisons,
    done_on         date,
    CONSTRAINT planned_once UNIQUE (kind, area, planned_on),
    CONSTRAINT not_due_before_it_begins CHECK (due_on >= planned_on),
    CONSTRAINT done_by_a_comparison CHECK ((status = 'done') = (num_nulls(comparison_id, done_on) = 0))
);

-- Whom a year's full reviews have covered.
CREATE TABLE annual_coverage (
    year          integer NOT NULL,
    person_id     text NOT NULL,
    comparison_id uuid NOT NULL REFERENCES comparisons,
    PRIMARY KEY (year, person_id)
);

-- What is overdue and whose it is (督办): raised once by the daily run, closed by itself when it is done.
CREATE TABLE escalations (
    escalation_id uuid PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('finding', 'monthly_part', 'plan', 'outreach', 'proof_of_life')),
    subject       text NOT NULL,
    area          text NOT NULL,
    raised_to     text NOT NULL,
    says          text NOT NULL,
    due_on        date NOT NULL,
    raised_on     date NOT NULL,
    closed_on     date,
    CONSTRAINT raised_once UNIQUE (kind, subject)
);
CREATE INDEX escalations_by_area ON escalations (area text_pattern_ops, escalation_id);

-- The newest policy.changed of each area: its parameters by name and day.
CREATE TABLE policies (
    area           text PRIMARY KEY,
    version        bigint NOT NULL,
    policy_version text NOT NULL,
    "values"       jsonb NOT NULL
);
