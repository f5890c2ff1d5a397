-- A department's file, taken in once. Its rows lie in Parquet (LIANGBU_DATA_DIR), keyed by person_id.
CREATE TABLE feeds (
    feed_id       uuid PRIMARY KEY,
    source        text NOT NULL,
    area          text NOT NULL,
    as_of         date NOT NULL,
    mode          text NOT NULL CHECK (mode IN ('delta', 'snapshot')),
    digest        text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    status        text NOT NULL CHECK (status IN ('received', 'stored', 'ready', 'refused')),
    authoritative boolean NOT NULL,
    sent_by       text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    accepted      bigint,
    rejected      bigint,
    stored_digest text,
    facts         bigint NOT NULL DEFAULT 0,
    refusal       text,
    CONSTRAINT the_same_file_is_the_same_feed UNIQUE (source, area, as_of, mode, digest),
    CONSTRAINT stored_feeds_are_counted
        CHECK (status IN ('received', 'refused') OR num_nulls(accepted, rejected, stored_digest) = 0),
    CONSTRAINT a_refusal_has_its_reason CHECK ((status = 'refused') = (refusal IS NOT NULL))
);
CREATE INDEX feeds_by_source ON feeds (source, as_of);

-- Every dated assertion that was published, as it was. `area` tells who may see it.
CREATE TABLE facts (
    fact_id     uuid PRIMARY KEY,
    person_id   text NOT NULL,
    kind        text NOT NULL,
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
CREATE TRIGGER facts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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

CREATE TABLE comparisons (
    comparison_id uuid PRIMARY KEY,
    level         text NOT NULL CHECK (level IN ('county', 'prefecture', 'province', 'annual')),
    area          text NOT NULL,
    as_of         date NOT NULL,
    status        text NOT NULL CHECK (status IN ('completed')),
    compared      bigint NOT NULL,
    findings      bigint NOT NULL,
    by_kind       jsonb NOT NULL,
    inputs        jsonb NOT NULL,
    missing       jsonb NOT NULL,
    digest        text NOT NULL,
    run_by        text NOT NULL,
    run_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ledger_entries (
    comparison_id uuid NOT NULL REFERENCES comparisons DEFERRABLE INITIALLY DEFERRED,
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
    area          text NOT NULL,
    status        text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'confirmed', 'dismissed')),
    version       bigint NOT NULL DEFAULT 1,
    alleged_on    date NOT NULL,
    hold_from     text NOT NULL CHECK (hold_from ~ '^\d{4}-\d{2}$'),
    opened_on     date NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT now(),
    due_on        date NOT NULL,
    overdue_since date,
    detail        jsonb NOT NULL DEFAULT '{}',
    comparison_id uuid REFERENCES comparisons DEFERRABLE INITIALLY DEFERRED,
    method        text CHECK (method IN ('visit', 'video', 'face', 'phone', 'document')),
    effective_on  date,
    note          text,
    evidence      jsonb,
    verified_by   text,
    verified_at   timestamptz,
    fact_id       uuid REFERENCES facts,
    CONSTRAINT who_verified_is_known CHECK ((status = 'open') = (num_nonnulls(method, verified_by, verified_at) = 0)),
    CONSTRAINT confirmed_means_a_fact CHECK ((status = 'confirmed') = (fact_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_open_finding_of_a_kind ON findings (person_id, kind) WHERE status = 'open';
CREATE INDEX findings_by_area ON findings (area text_pattern_ops, finding_id);
CREATE INDEX findings_by_person ON findings (person_id);

-- What was said that a finding rests on. The same claim of the same source is known for good, whatever became of it.
CREATE TABLE claims (
    claim_id    uuid PRIMARY KEY,
    finding_id  uuid NOT NULL REFERENCES findings,
    person_id   text NOT NULL,
    kind        text NOT NULL,
    source      text NOT NULL,
    alleged_on  date NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    name_sealed text,
    feed_id     uuid REFERENCES feeds,
    reported_by text,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_claim_is_noted_once UNIQUE (person_id, kind, source, alleged_on)
);
CREATE INDEX claims_by_finding ON claims (finding_id);

-- Each township's part of the monthly comparison: changes reported, or none (无变化), signed.
CREATE TABLE monthly_signoffs (
    area      text NOT NULL,
    period    text NOT NULL CHECK (period ~ '^\d{4}-\d{2}$'),
    changes   boolean NOT NULL,
    signed_by text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (area, period)
);
