-- What eligibility keeps: persons and what was asserted of them, applications, entitlements, policies.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE persons (
    person_id   text PRIMARY KEY,
    area        text CHECK (area ~ '^[0-9]+$'),
    lived_in    text[] NOT NULL,
    merged_into text CHECK (merged_into <> person_id)
);

CREATE INDEX persons_by_area ON persons (area text_pattern_ops, person_id);

CREATE INDEX persons_by_merged_into ON persons (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE assertions (
    fact_id     uuid PRIMARY KEY,
    person_id   text NOT NULL,
    kind        text NOT NULL,
    valid       daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
    known_at    timestamptz NOT NULL,
    source      text NOT NULL,
    rank        smallint NOT NULL CHECK (rank >= 0),
    data        jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX assertions_by_person ON assertions (person_id);

CREATE TRIGGER assertions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON assertions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE applications (
    application_id uuid PRIMARY KEY,
    person_id      text NOT NULL,
    version        bigint NOT NULL CHECK (version > 0),
    area           text NOT NULL,
    channel        text NOT NULL,
    status         text NOT NULL,
    subsidies      text[] NOT NULL CHECK (cardinality(subsidies) > 0 AND subsidies <@ '{living,care}'),
    applied_on     date NOT NULL,
    facts          jsonb NOT NULL,
    told_at        timestamptz NOT NULL,
    reviewed_on    date,
    final          boolean NOT NULL,
    granted        text[] NOT NULL DEFAULT '{}' CHECK (granted <@ '{living,care}'),
    decided_on     date,
    withdrawn_on   date,
    CHECK (granted = '{}' OR decided_on IS NOT NULL)
);

CREATE INDEX applications_by_person ON applications (person_id);

CREATE TABLE assessments (
    application_id      uuid NOT NULL REFERENCES applications,
    version             bigint NOT NULL CHECK (version > 0),
    application_version bigint NOT NULL,
    policy_version      text NOT NULL,
    decisions           jsonb NOT NULL,
    assessed_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (application_id, version)
);

CREATE TABLE entitlements (
    person_id       text NOT NULL,
    subsidy         text NOT NULL CHECK (subsidy IN ('living', 'care')),
    version         bigint NOT NULL CHECK (version > 0),
    schedule        jsonb NOT NULL CHECK (jsonb_typeof(schedule) = 'array'),
    stopped_because text,
    died_on         date,
    cause           text NOT NULL,
    area            text NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, subsidy, version)
);

CREATE TRIGGER entitlements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entitlements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE policies (
    policy_id   uuid PRIMARY KEY DEFAULT uuidv7(),
    area        text NOT NULL,
    title       text NOT NULL,
    layer       text NOT NULL,
    since       date NOT NULL,
    status      text NOT NULL CHECK (status IN ('proposed', 'approved')),
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    approved_by text CHECK (approved_by <> proposed_by),
    approved_at timestamptz,
    approval_no bigint UNIQUE,
    CHECK ((status = 'approved') = (approved_by IS NOT NULL)),
    CHECK ((status = 'approved') = (approved_at IS NOT NULL)),
    CHECK ((status = 'approved') = (approval_no IS NOT NULL))
);

CREATE TABLE policy_values (
    policy_id uuid NOT NULL REFERENCES policies,
    area      text NOT NULL,
    name      text NOT NULL,
    value     jsonb NOT NULL,
    valid     daterange NOT NULL CHECK (NOT isempty(valid)),
    known     tstzrange NOT NULL CHECK (NOT isempty(known)),
    CONSTRAINT one_value_a_day EXCLUDE USING gist (area WITH =, name WITH =, valid WITH &&, known WITH &&)
);

CREATE TABLE policy_cases (
    case_id          uuid PRIMARY KEY DEFAULT uuidv7(),
    area             text NOT NULL,
    name             text NOT NULL,
    since            date NOT NULL,
    source           text NOT NULL,
    message          text NOT NULL,
    clause           text NOT NULL,
    status           text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'assigned', 'resolved')),
    owner            text NOT NULL,
    due_on           date NOT NULL,
    transition       text NOT NULL DEFAULT '',
    persons_affected bigint NOT NULL CHECK (persons_affected >= 0),
    opened_at        timestamptz NOT NULL DEFAULT now(),
    resolved_by      text,
    resolved_at      timestamptz,
    resolution       text,
    corrected_by     uuid REFERENCES policies,
    CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
);

CREATE UNIQUE INDEX policy_cases_open_once ON policy_cases (area, name, since, clause) WHERE status <> 'resolved';

CREATE TABLE policy_case_persons (
    case_id        uuid NOT NULL REFERENCES policy_cases,
    application_id uuid NOT NULL REFERENCES applications,
    person_id      text NOT NULL,
    subsidies      text[] NOT NULL CHECK (cardinality(subsidies) > 0),
    PRIMARY KEY (case_id, application_id)
);

CREATE TABLE simulations (
    simulation_id uuid PRIMARY KEY DEFAULT uuidv7(),
    area          text NOT NULL,
    period        text NOT NULL,
    changes       jsonb NOT NULL,
    requested_by  text NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    after_person  text NOT NULL DEFAULT '',
    sums          jsonb,
    finished_at   timestamptz
);

CREATE TABLE simulation_effects (
    simulation_id uuid NOT NULL REFERENCES simulations,
    person_id     text NOT NULL,
    subsidy       text NOT NULL CHECK (subsidy IN ('living', 'care')),
    before_fen    bigint NOT NULL,
    after_fen     bigint NOT NULL CHECK (after_fen <> before_fen),
    PRIMARY KEY (simulation_id, person_id, subsidy)
);

CREATE TABLE told_policies (
    area    text PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    digest  text NOT NULL
);

-- The release that was started last: others that still run judge nobody.
CREATE TABLE judging_release (
    digest text NOT NULL
);
CREATE UNIQUE INDEX one_release_judges ON judging_release ((true));

-- Keeps another release or policy from coming into force until this transaction ends; which release judges, as of then.
CREATE FUNCTION begin_judging(judging bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(judging);
    RETURN (SELECT digest FROM judging_release);
END $$;

-- `policy_id` is that of an approved layer, or one of its own for what a release of the program brought.
CREATE TABLE reevaluations (
    policy_id    uuid PRIMARY KEY,
    area         text NOT NULL,
    after_person text NOT NULL DEFAULT '',
    after_application uuid,
    persons      bigint NOT NULL DEFAULT 0,
    changed      bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
