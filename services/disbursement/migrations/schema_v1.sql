-- What disbursement keeps. A period is stored as the first day of its month; money is in fen.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Projections of what other services tell ---------------------------------------------------------------------------

-- The newest schedule of each person and subsidy (entitlement.changed).
CREATE TABLE entitlements (
    person_id       text NOT NULL,
    subsidy         text NOT NULL CHECK (subsidy IN ('living', 'care')),
    version         bigint NOT NULL,
    cause           text NOT NULL,
    stopped_because text,
    area            text NOT NULL,
    told_at         timestamptz NOT NULL,
    -- No month up to this one is due or on its way (handlers/paid_up.py); another schedule takes it away.
    paid_up_to      date NOT NULL DEFAULT '-infinity',
    died_on         date,
    -- Approved of somebody known to be dead: what is due goes to an heir.
    to_heir         boolean NOT NULL DEFAULT false CHECK (NOT to_heir OR died_on IS NOT NULL),
    PRIMARY KEY (person_id, subsidy)
);

-- Every version that was told, so that it can be said later on which one a payment rested.
CREATE TABLE entitlement_versions (
    person_id       text NOT NULL,
    subsidy         text NOT NULL,
    version         bigint NOT NULL,
    cause           text NOT NULL,
    stopped_because text,
    told_at         timestamptz NOT NULL,
    PRIMARY KEY (person_id, subsidy, version)
);

CREATE TABLE entitled_spans (
    person_id      text NOT NULL,
    subsidy        text NOT NULL,
    months         daterange NOT NULL CHECK (NOT isempty(months) AND lower_inc(months)),
    amount_fen     bigint NOT NULL CHECK (amount_fen > 0),
    area           text NOT NULL,
    level          smallint NOT NULL,
    category       text,
    policy_version text NOT NULL,
    cause          text NOT NULL,
    -- The version of the schedule that told it.
    version        bigint NOT NULL,
    CHECK (extract(day FROM lower(months)) = 1 AND (upper(months) IS NULL OR extract(day FROM upper(months)) = 1)),
    -- By a digest: an index of ranges beside two texts takes half as long again to write, and is taken for look-ups that
    -- the one below answers in a third of the time.
    CONSTRAINT no_month_twice EXCLUDE USING gist ((md5(person_id || subsidy)::uuid) WITH =, months WITH &&),
    FOREIGN KEY (person_id, subsidy) REFERENCES entitlements
);
CREATE INDEX entitled_spans_by_person ON entitled_spans (person_id, subsidy);
-- With the first month, for a cycle asks since when anybody in its area is behind: of few areas, each is looked up.
CREATE INDEX entitled_spans_by_area ON entitled_spans (area text_pattern_ops, lower(months));

-- Whom to pay (payee.changed). Names, phone and numbers are sealed to their place here. Everybody entitled is here: who is
-- not told of yet with version 0 and 'no_payee', so that a cycle asks only in whose way something stands.
CREATE TABLE payees (
    person_id     text PRIMARY KEY,
    version       bigint NOT NULL,
    area          text NOT NULL,
    person_name   text,
    certificate_number text,
    phone         text,
    holder        text CHECK (holder IN ('own', 'guardian', 'institution')),
    holder_name   text,
    bank          text,
    number        text,
    number_last4  text,
    number_token  text,
    obstacle      text,
    -- The account version that the bank could not pay to; a newer version may be paid again.
    failed_version bigint,
    failed_code    text,
    CHECK (obstacle IS NOT NULL OR (holder_name IS NOT NULL AND bank IS NOT NULL AND number IS NOT NULL)),
    CHECK (CASE version WHEN 0 THEN obstacle = 'no_payee' AND obstacle IS NOT NULL ELSE person_name IS NOT NULL END)
);
CREATE INDEX payees_by_account ON payees (number_token) WHERE number_token IS NOT NULL;
CREATE INDEX payees_unpayable ON payees (person_id) WHERE obstacle IS NOT NULL OR failed_version = version;

CREATE FUNCTION await_payees() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payees (person_id, version, area, obstacle)
    SELECT DISTINCT ON (person_id) person_id, 0, area, 'no_payee' FROM awaited ORDER BY person_id, area
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER entitlements_await_payees AFTER INSERT ON entitlements REFERENCING NEW TABLE AS awaited
    FOR EACH STATEMENT EXECUTE FUNCTION await_payees();
-- They are emptied to be told again (`liangbu rebuild`).
CREATE TRIGGER payees_are_awaited_again AFTER DELETE ON payees REFERENCING OLD TABLE AS awaited
    FOR EACH STATEMENT EXECUTE FUNCTION await_payees();

-- Whom what is due is paid to after a person's death: an heir who proved it, by two persons' decision. Sealed to the
-- places of the payee. A row in force that names nobody waits for one: its person was known to be
-- dead at the approval (entitlement.changed, to_heir), so that the own account is not paid.
CREATE TABLE heirs (
    heir_id      uuid PRIMARY KEY,
    person_id    text NOT NULL,
    -- Above every version that intake may give.
    version      bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000000000000),
    relation     text,
    holder_name  text,
    phone        text,
    bank         text,
    number       text,
    number_last4 text,
    document_no  text,
    failed_version bigint,
    proposed_by  text,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    approved_by  text CHECK (approved_by <> proposed_by),
    approved_at  timestamptz,
    -- That it should end was decided by hand, too: proposed with a reason by one, approved by another.
    end_reason      text,
    end_proposed_by text,
    ended_by     text CHECK (ended_by <> end_proposed_by),
    replaced_at  timestamptz,
    CHECK (num_nulls(relation, holder_name, bank, number, number_last4, document_no, proposed_by) IN (0, 7)),
    CHECK (number IS NOT NULL OR (approved_at IS NOT NULL AND approved_by IS NULL AND phone IS NULL)),
    CHECK (num_nulls(end_reason, end_proposed_by) IN (0, 2) AND (ended_by IS NULL OR replaced_at IS NOT NULL))
);
CREATE UNIQUE INDEX heirs_one_in_force ON heirs (person_id) WHERE approved_at IS NOT NULL AND replaced_at IS NULL;
CREATE UNIQUE INDEX heirs_one_proposed ON heirs (person_id) WHERE approved_at IS NULL AND replaced_at IS NULL;

-- Whom to pay now: the heir in force, once there is one if one is awaited, else the payee.
CREATE VIEW payable_to AS
SELECT p.person_id, p.area,
       CASE WHEN h.heir_id IS NULL THEN p.version ELSE h.version END AS version,
       CASE WHEN h.heir_id IS NULL THEN p.holder ELSE 'heir' END AS holder,
       CASE WHEN h.heir_id IS NULL THEN p.holder_name ELSE h.holder_name END AS holder_name,
       CASE WHEN h.heir_id IS NULL THEN p.bank ELSE h.bank END AS bank,
       CASE WHEN h.heir_id IS NULL THEN p.number ELSE h.number END AS number,
       CASE WHEN h.heir_id IS NULL THEN p.number_last4 ELSE h.number_last4 END AS number_last4,
       CASE WHEN h.heir_id IS NULL THEN p.phone ELSE h.phone END AS phone,
       CASE WHEN h.heir_id IS NULL THEN coalesce(p.obstacle, CASE WHEN p.failed_version = p.version THEN 'account_failed' END)
            WHEN h.number IS NULL THEN 'heir_awaited'
            WHEN h.failed_version = h.version THEN 'account_failed'
       END AS obstacle
FROM payees p
LEFT JOIN heirs h ON h.person_id = p.person_id AND h.approved_at IS NOT NULL AND h.replaced_at IS NULL;

-- Those of them whom nothing can be paid to, and why, without asking all the others.
CREATE VIEW unpayable AS
SELECT p.person_id, coalesce(p.obstacle, 'account_failed') AS obstacle
FROM payees p
WHERE (p.obstacle IS NOT NULL OR p.failed_version = p.version)
  AND NOT EXISTS (
        SELECT FROM heirs h
        WHERE h.person_id = p.person_id AND h.approved_at IS NOT NULL AND h.replaced_at IS NULL
    )
UNION ALL
SELECT person_id, CASE WHEN number IS NULL THEN 'heir_awaited' ELSE 'account_failed' END
FROM heirs
WHERE approved_at IS NOT NULL AND replaced_at IS NULL AND (number IS NULL OR failed_version = version);

-- Ids that go on under another one: a resident ID was corrected. What was paid under them counts for who they are now.
CREATE TABLE merged_persons (
    person_id      text PRIMARY KEY,
    into_person_id text NOT NULL CHECK (into_person_id <> person_id),
    merged_at      timestamptz NOT NULL
);
CREATE INDEX merged_persons_by_survivor ON merged_persons (into_person_id);

-- Leads that hold what is not sent yet (finding.*). A confirmed one holds until eligibility's schedule knows the fact.
CREATE TABLE findings (
    finding_id   uuid PRIMARY KEY,
    person_id    text NOT NULL,
    version      bigint NOT NULL,
    kind         text NOT NULL,
    subsidies    text[] NOT NULL,
    area         text NOT NULL,
    status       text NOT NULL CHECK (status IN ('open', 'confirmed', 'dismissed')),
    hold_from    date NOT NULL CHECK (extract(day FROM hold_from) = 1),
    due_on       date NOT NULL,
    told_at      timestamptz NOT NULL,
    lifted_at    timestamptz,
    CHECK (status <> 'open' OR lifted_at IS NULL)
);
CREATE INDEX findings_in_force ON findings (person_id) WHERE lifted_at IS NULL;

-- Whose death is known: eligibility tells it, or a finding of it was confirmed that eligibility has not answered yet.
CREATE VIEW known_dead AS
SELECT person_id FROM entitlements WHERE died_on IS NOT NULL
UNION ALL
SELECT person_id
FROM findings
WHERE status = 'confirmed' AND lifted_at IS NULL AND kind IN ('person.died', 'person.declared_dead');

-- Persons of whom eligibility could not take in an event (judgement.blocked): nothing is sent to them meanwhile.
CREATE TABLE blocked_judgements (
    person_id text PRIMARY KEY,
    version   bigint NOT NULL,
    blocked   boolean NOT NULL
);

-- Policy changes whose re-evaluation is under way (policy.reevaluated): no cycle is drawn up over them.
CREATE TABLE reevaluations (
    policy_id   uuid PRIMARY KEY,
    version     bigint NOT NULL,
    area        text NOT NULL,
    status      text NOT NULL CHECK (status IN ('started', 'finished')),
    told_at     timestamptz NOT NULL,
    absorbed_at timestamptz
);

-- Rosters that others keep (roster.received, roster.listed): the national system's, or one on paper. One is compared once
-- all its persons are here.
CREATE TABLE listed_rosters (
    feed_id uuid PRIMARY KEY,
    roster  text NOT NULL CHECK (roster IN ('national', 'paper')),
    area    text NOT NULL,
    as_of   date NOT NULL,
    persons integer NOT NULL CHECK (persons >= 0)
);
CREATE TABLE listed_persons (
    feed_id   uuid NOT NULL,
    person_id text NOT NULL,
    subsidy   text NOT NULL CHECK (subsidy IN ('living', 'care')),
    months    daterange NOT NULL CHECK (NOT isempty(months)),
    area      text,
    PRIMARY KEY (feed_id, person_id, subsidy, months)
);

-- Rosters that are being taken over (roster.imported): no cycle is drawn up over them until everybody on them has come.
CREATE TABLE takeovers (
    import_id   uuid PRIMARY KEY,
    version     bigint NOT NULL,
    area        text NOT NULL,
    status      text NOT NULL CHECK (status IN ('started', 'finished')),
    told_at     timestamptz NOT NULL,
    absorbed_at timestamptz
);

-- What was paid elsewhere before a person was taken over (recipients.taken_over), so many fen for each of the months; booked
-- with the entry that it came in.
CREATE TABLE openings (
    person_id  text NOT NULL,
    subsidy    text NOT NULL CHECK (subsidy IN ('living', 'care')),
    months     daterange NOT NULL CHECK (NOT isempty(months) AND lower_inc(months) AND upper(months) IS NOT NULL),
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    area       text NOT NULL,
    import_id  uuid NOT NULL,
    entry_id   uuid NOT NULL,
    entered_at timestamptz NOT NULL,
    -- Under which id it was told: of two ids that turn out to be one person's, either was paid.
    told_of    text NOT NULL,
    CHECK (extract(day FROM lower(months)) = 1 AND extract(day FROM upper(months)) = 1),
    CONSTRAINT opened_once EXCLUDE USING gist ((md5(told_of || subsidy)::uuid) WITH =, months WITH &&)
);
CREATE INDEX openings_by_person ON openings (person_id, subsidy);
CREATE TRIGGER openings_append_only BEFORE DELETE OR TRUNCATE ON openings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Whose they are may turn out (merged_persons); what they are, never.
CREATE TRIGGER openings_stay BEFORE UPDATE ON openings FOR EACH ROW
    WHEN ((old.subsidy, old.months, old.amount_fen, old.area, old.import_id, old.entry_id, old.entered_at, old.told_of)
          IS DISTINCT FROM
          (new.subsidy, new.months, new.amount_fen, new.area, new.import_id, new.entry_id, new.entered_at, new.told_of))
    EXECUTE FUNCTION refuse_change();

-- The same, month by month, with the book that it is charged to: its county's, of the year paid for.
CREATE VIEW opening_months AS
SELECT person_id, subsidy, month::date AS period, amount_fen, area, left(area, 6) AS book_area,
       extract(year FROM month)::integer AS book_year, import_id, entry_id
FROM openings
CROSS JOIN LATERAL generate_series(
    lower(months)::timestamp, upper(months) - interval '1 month', interval '1 month'
) AS month;

-- Budget and ledger ---------------------------------------------------------------------------------------------------

CREATE TABLE appropriations (
    appropriation_id uuid PRIMARY KEY DEFAULT uuidv7(),
    area             text NOT NULL,
    subsidy          text NOT NULL CHECK (subsidy IN ('living', 'care')),
    year             integer NOT NULL CHECK (year BETWEEN 2000 AND 2200),
    amount_fen       bigint NOT NULL CHECK (amount_fen > 0),
    -- Which level of government gave it.
    granted_by       text NOT NULL DEFAULT 'county'
                     CHECK (granted_by IN ('central', 'province', 'prefecture', 'county')),
    document_no      text NOT NULL,
    recorded_by      text NOT NULL,
    recorded_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (area, subsidy, year, document_no)
);

-- What a reconciliation found (对账单), with the figures of every side: append-only, each chained to the one before it of
-- its area by its digest.
CREATE TABLE reconciliations (
    reconciliation_id uuid PRIMARY KEY DEFAULT uuidv7(),
    area              text NOT NULL,
    period            date NOT NULL CHECK (extract(day FROM period) = 1),
    clean             boolean NOT NULL,
    certificate       jsonb NOT NULL,
    digest            text NOT NULL,
    run_by            text NOT NULL,
    run_at            timestamptz NOT NULL
);
CREATE INDEX reconciliations_by_area ON reconciliations (area text_pattern_ops, period);
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Append-only double entry: each row moves an amount from `credit` to `debit`. Booked once per cause and book.
CREATE TABLE postings (
    posting_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause      text NOT NULL,
    cause_id   text NOT NULL,
    -- What told it: a webhook by its id, a statement; of a claim, the entitlement's version or the decision.
    told_by    text,
    -- Whom it concerns, under the id of that day; what is booked of many at once is theirs by their payments.
    person_id  text,
    -- Which institution has the child's money.
    org_code   text,
    book_area  text NOT NULL,
    subsidy    text NOT NULL CHECK (subsidy IN ('living', 'care')),
    book_year  integer NOT NULL,
    debit      text NOT NULL,
    credit     text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    booked_on  date NOT NULL,
    booked_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (debit <> credit),
    CHECK ((person_id IS NULL)
           = (cause IN ('appropriation', 'opening', 'commitment', 'release', 'sending', 'recall'))),
    CHECK ((org_code IS NOT NULL) = ('institution_funds' IN (debit, credit))),
    UNIQUE (cause, cause_id, book_area, subsidy, book_year, debit, credit)
);
CREATE INDEX postings_by_book ON postings (book_area, subsidy, book_year);
CREATE INDEX postings_by_person ON postings (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX postings_by_institution ON postings (org_code) WHERE org_code IS NOT NULL;
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Months of the books that are closed (结账): nothing is booked into them or before them any more. A closing covers the
-- books of its area and below.
CREATE TABLE period_closings (
    area              text NOT NULL,
    period            date NOT NULL CHECK (extract(day FROM period) = 1),
    reconciliation_id uuid NOT NULL REFERENCES reconciliations,
    -- Per book what each account held at the end of the month, and its digest.
    balances          jsonb NOT NULL,
    digest            text NOT NULL,
    closed_by         text NOT NULL,
    closed_at         timestamptz NOT NULL,
    PRIMARY KEY (area, period)
);
CREATE TRIGGER period_closings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON period_closings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The first day that a book is open: what happened in a closed month is booked on it.
CREATE FUNCTION first_open_day(book_area text) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((max(period) + interval '1 month')::date, '-infinity')
    FROM period_closings
    WHERE area IN ('', left(book_area, 2), left(book_area, 4), left(book_area, 6), book_area)
$$;

CREATE FUNCTION refuse_closed_month() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM booked GROUP BY book_area HAVING min(booked_on) < first_open_day(book_area)) THEN
        RAISE EXCEPTION 'the month is closed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER postings_in_open_months AFTER INSERT ON postings REFERENCING NEW TABLE AS booked
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_month();

CREATE VIEW balances AS
SELECT book_area, subsidy, book_year, account, sum(amount_fen)::bigint AS balance_fen
FROM (
    SELECT book_area, subsidy, book_year, debit AS account, amount_fen FROM postings
    UNION ALL
    SELECT book_area, subsidy, book_year, credit, -amount_fen FROM postings
) AS sides
GROUP BY book_area, subsidy, book_year, account;

-- Cycles and payments -------------------------------------------------------------------------------------------------

CREATE TABLE cycles (
    cycle_id       uuid PRIMARY KEY DEFAULT uuidv7(),
    area           text NOT NULL,
    period         date NOT NULL CHECK (extract(day FROM period) = 1),
    subsidy        text CHECK (subsidy IN ('living', 'care')),
    -- How it goes to the bank: over REST, or as a file that an official carries there and back.
    channel        text NOT NULL DEFAULT 'rest' CHECK (channel IN ('rest', 'file')),
    status         text NOT NULL DEFAULT 'draft'
                   CHECK (status IN ('draft', 'concurred', 'approved', 'submitted', 'settled', 'closed')),
    created_by     text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    concurred_by   text,
    concurred_at   timestamptz,
    approved_by    text CHECK (approved_by <> created_by),
    approved_at    timestamptz,
    -- When submission was asked for; the moment that the watermark has to pass.
    requested_by   text,
    requested_at   timestamptz,
    refused_because text,
    submitted_at   timestamptz,
    settled_at     timestamptz,
    reconciled_at  timestamptz,
    closed_at      timestamptz,
    CHECK (status = 'draft' OR concurred_by IS NOT NULL),
    CHECK (status IN ('draft', 'concurred') OR approved_by IS NOT NULL)
);
CREATE UNIQUE INDEX cycles_one_draft ON cycles (area, period, subsidy) NULLS NOT DISTINCT WHERE status = 'draft';
CREATE INDEX cycles_under_way ON cycles (status) WHERE status NOT IN ('draft', 'closed');

-- Drafts that were given up: what was in them is due again, and waits for the next cycle.
CREATE TABLE withdrawn_drafts (
    cycle_id     uuid PRIMARY KEY,
    area         text NOT NULL,
    period       date NOT NULL,
    subsidy      text,
    withdrawn_at timestamptz NOT NULL
);

-- One attempt to pay one month. Partitioned by period only, so that a month is unique whoever pays it; only months have
-- partitions.
CREATE TABLE payments (
    payment_id      uuid NOT NULL,
    period          date NOT NULL,
    person_id       text NOT NULL,
    subsidy         text NOT NULL CHECK (subsidy IN ('living', 'care')),
    attempt         integer NOT NULL CHECK (attempt > 0),
    cycle_id        uuid NOT NULL REFERENCES cycles,
    area            text NOT NULL,
    level           smallint NOT NULL,
    amount_fen      bigint NOT NULL CHECK (amount_fen > 0),
    -- What of it is not transferred but set off against a recovery of the same person and subsidy.
    offset_fen      bigint NOT NULL DEFAULT 0,
    offset_recovery_id uuid,
    -- Whose account it was sent to.
    holder          text,
    -- What was entitled, and what had been paid already, when this was drawn up: never more than the rest is paid.
    entitled_fen    bigint NOT NULL,
    paid_before_fen bigint NOT NULL,
    -- The version of the entitlement that it rests on; null for what was written back from the bank's books. Under which id
    -- it was drawn up, where its person goes on under another one (merged_persons).
    entitlement_version bigint,
    drawn_up_for    text,
    status          text NOT NULL DEFAULT 'pending',
    version         integer NOT NULL DEFAULT 1,
    book_area       text,
    book_year       integer,
    batch_id        uuid,
    payee_version   bigint,
    bank_ref        text,
    code            text,
    settled_on      date,
    failed_on       date,
    returned_on     date,
    PRIMARY KEY (payment_id, period),
    UNIQUE (person_id, subsidy, period, attempt),
    CHECK (paid_before_fen + amount_fen <= entitled_fen),
    CHECK (offset_fen >= 0 AND offset_fen < amount_fen),
    CHECK (offset_fen = 0 OR offset_recovery_id IS NOT NULL),
    CHECK (CASE status
               WHEN 'pending' THEN true
               WHEN 'sent' THEN num_nulls(batch_id, book_area, book_year) = 0
               WHEN 'settled' THEN num_nulls(batch_id, book_area, book_year, settled_on) = 0
               WHEN 'failed' THEN num_nulls(batch_id, book_area, book_year, failed_on, code) = 0
               WHEN 'returned' THEN num_nulls(batch_id, book_area, book_year, returned_on, code) = 0
               ELSE false
           END)
) PARTITION BY LIST (period);
-- A month has one attempt on its way at a time. The next one is drawn up on what the last one came to, and carries the
-- next number: of two drawn up on the same state the database takes one. Of two ids that turn out to be one person's each
-- may have one: what is not sent yet of the two is dropped (sql/drop_stopped.sql).
CREATE UNIQUE INDEX payments_one_on_its_way ON payments (person_id, subsidy, period)
    WHERE status IN ('pending', 'sent') AND drawn_up_for IS NULL;
CREATE INDEX payments_by_cycle ON payments (cycle_id, status);
CREATE INDEX payments_by_batch ON payments (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX payments_by_area ON payments (area text_pattern_ops, status);

-- STABLE, as convert_to() is, and no part of it twice: else it is not inlined into the statement that draws a million up.
-- Over bytes: overlaying text costs as much as the hash.
CREATE FUNCTION payment_id(person_id text, subsidy text, period date, attempt integer) RETURNS uuid
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT CAST(encode(set_byte(set_byte(substring(sha256(convert_to(
        'liangbu.payment/' || person_id || '/' || subsidy
        || '/' || CAST(period - DATE '2000-01-01' AS text) || '/' || CAST(attempt AS text), 'UTF8'
    )) FROM 1 FOR 16), 6, 128), 8, 128), 'hex') AS uuid)
$$;
COMMENT ON FUNCTION payment_id IS 'the same as services/disbursement/payments.py';

-- Makes the partitions of the months from `first` to `last`. Attached, not created in place: readers are not locked out.
CREATE FUNCTION ensure_payment_partitions(first date, last date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month date := date_trunc('month', first);
BEGIN
    WHILE month <= last LOOP
        IF begin_payment_partition(month) THEN
            EXECUTE format('CREATE TABLE %I ()', payment_partition(month));
            PERFORM attach_payment_partition(month);
        END IF;
        month := month + interval '1 month';
    END LOOP;
END $$;

CREATE FUNCTION payment_partition(month date) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(month, '"payments_"YYYY_MM')
$$;

-- Whether the month has no partition yet, and is whose asks to make: loaded first and then indexed, as it is attached, it
-- takes half the time. Nobody else begins one until the end of the transaction; nobody else writes cycles, to which its
-- foreign key refers: taken here, at first, two who draw up at once cannot lock each other out.
CREATE FUNCTION begin_payment_partition(month date) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(payment_partition(month)) IS NULL THEN
        PERFORM pg_advisory_xact_lock(7401);
        -- Before looking again, too: not an advisory lock, but this one makes what others committed meanwhile known.
        LOCK TABLE cycles IN SHARE ROW EXCLUSIVE MODE;
        RETURN to_regclass(payment_partition(month)) IS NULL;
    END IF;
    RETURN false;
END $$;

-- Makes the month's table, with some columns of a payment in it, the month's partition: it gets the others, with their
-- defaults, and every constraint, all looked at in one pass, and loses what a payment has not.
CREATE FUNCTION attach_payment_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := payment_partition(month);
BEGIN
    EXECUTE (
        WITH wanted AS (
            SELECT attname, concat_ws(' DEFAULT ', format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)) AS type
            FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
            WHERE attrelid = 'payments'::regclass AND attnum > 0 AND NOT attisdropped
        ),
        drawn AS (
            SELECT attname FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0 AND NOT attisdropped
        )
        SELECT format('ALTER TABLE %I ', name) || string_agg(change, ', ')
        FROM (
            SELECT format('DROP COLUMN %I', attname) FROM drawn WHERE attname NOT IN (SELECT attname FROM wanted)
            UNION ALL
            SELECT format('ADD COLUMN %I %s', attname, type) FROM wanted
            WHERE attname NOT IN (SELECT attname FROM drawn)
            UNION ALL
            SELECT format('ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
            WHERE conrelid = 'payments'::regclass AND contype IN ('c', 'n')
            UNION ALL
            -- Its bound, so that attaching it does not look at every row again.
            SELECT format('ADD CONSTRAINT of_its_month CHECK (period = %L)', date_trunc('month', month)::date)
        ) AS changes (change)
    );
    EXECUTE format('ALTER TABLE payments ATTACH PARTITION %I FOR VALUES IN (%L)', name, date_trunc('month', month)::date);
END $$;

-- What a cycle does not pay, and why: nothing is silent.
CREATE TABLE cycle_exceptions (
    cycle_id   uuid NOT NULL REFERENCES cycles ON DELETE CASCADE,
    person_id  text NOT NULL,
    subsidy    text NOT NULL,
    period     date NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    outcome    text NOT NULL CHECK (outcome IN ('held', 'unpayable', 'dropped')),
    reason     text NOT NULL,
    finding_id uuid,
    -- Held by a finding whose deadline was past, and on which nobody had decided, when the cycle was drawn up.
    overdue    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (cycle_id, person_id, subsidy, period),
    CHECK (NOT overdue OR (outcome = 'held' AND finding_id IS NOT NULL))
);

-- The bank ------------------------------------------------------------------------------------------------------------

-- What was handed to the bank. `request` is the batch, sealed: to be sent again word for word, and to prove what was sent;
-- null where it was lost with a database, and the bank told of its batch.
CREATE TABLE batches (
    batch_id    uuid PRIMARY KEY,
    cycle_id    uuid NOT NULL REFERENCES cycles,
    state       text NOT NULL DEFAULT 'prepared' CHECK (state IN ('prepared', 'unknown', 'accepted', 'refused', 'recalled', 'done')),
    payments    integer NOT NULL CHECK (payments > 0),
    amount_fen  bigint NOT NULL CHECK (amount_fen > 0),
    department  text NOT NULL,
    request     text,
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz DEFAULT now(),
    prepared_at timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    CHECK (request IS NOT NULL OR state NOT IN ('prepared', 'unknown'))
);
-- From when on the bank may be handed more, where a pace is set for it: all workers keep it together.
CREATE TABLE bank_pace (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    free_at  timestamptz NOT NULL
);
INSERT INTO bank_pace (free_at) VALUES ('-infinity');

CREATE INDEX batches_due ON batches (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX batches_by_cycle ON batches (cycle_id);

-- The bank's statement as last read, line by line.
CREATE TABLE statement_lines (
    payment_id  uuid PRIMARY KEY,
    batch_id    uuid NOT NULL REFERENCES batches,
    amount_fen  bigint NOT NULL,
    status      text NOT NULL CHECK (status IN ('accepted', 'settled', 'failed', 'returned')),
    bank_ref    text,
    code        text,
    settled_on  date,
    failed_on   date,
    returned_on date,
    read_at     timestamptz NOT NULL
);
CREATE INDEX statement_lines_by_batch ON statement_lines (batch_id);

CREATE TABLE webhook_deliveries (
    webhook_id  text PRIMARY KEY,
    type        text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (received_at);

-- The SMS that the bank says it sent. `missing` is null until it could be checked against the settled payment; the text
-- of one that is right is not kept.
CREATE TABLE sms_receipts (
    payment_id uuid PRIMARY KEY,
    text       text,
    sent_at    timestamptz NOT NULL,
    missing    text[],
    CHECK (text IS NOT NULL OR missing = '{}')
);

-- The newest policy.changed of each area: its parameters by name and day.
CREATE TABLE policies (
    area           text PRIMARY KEY,
    version        bigint NOT NULL,
    policy_version text NOT NULL,
    "values"       jsonb NOT NULL
);

-- By when a case that is opened today is to be resolved: by the policy of the nearest area that has one; in two weeks
-- before any was told.
CREATE FUNCTION case_due_on(case_area text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT today + coalesce((
        SELECT (value ->> 'value')::integer
        FROM (SELECT "values" FROM policies WHERE starts_with(case_area, area) ORDER BY length(area) DESC LIMIT 1) AS nearest
        CROSS JOIN jsonb_array_elements("values") AS value
        WHERE value ->> 'parameter' = 'case.resolution_days' AND (value ->> 'since')::date <= today
        ORDER BY value ->> 'since' DESC
        LIMIT 1
    ), 14)
    FROM CAST(now() AT TIME ZONE 'Asia/Shanghai' AS date) AS today
$$;

-- Differences and oddities for a person to resolve. One per kind and subject; it comes back if it changes. Who has to
-- see to it is the office that its kind names, or whoever it was assigned to; by an office above, that is 督办.
CREATE TABLE cases (
    case_id     uuid PRIMARY KEY DEFAULT uuidv7(),
    kind        text NOT NULL,
    subject     text NOT NULL,
    area        text NOT NULL,
    period      date,
    person_id   text,
    payment_id  uuid,
    cycle_id    uuid,
    detail      jsonb NOT NULL DEFAULT '{}',
    opened_at   timestamptz NOT NULL DEFAULT now(),
    due_on      date NOT NULL,
    assigned_to text,
    assigned_by text,
    assigned_from text,
    assigned_at timestamptz,
    demand      text,
    resolved_at timestamptz,
    resolved_by text,
    resolution  text,
    UNIQUE (kind, subject),
    CHECK ((assigned_to IS NULL) = (assigned_by IS NULL) AND (assigned_to IS NULL) = (assigned_at IS NULL)),
    CHECK ((resolved_at IS NULL) = (resolved_by IS NULL) AND (resolved_at IS NULL) = (resolution IS NULL))
);
CREATE INDEX cases_by_area ON cases (area text_pattern_ops, period);
CREATE INDEX cases_by_cycle ON cases (cycle_id) WHERE cycle_id IS NOT NULL;

-- Restores ------------------------------------------------------------------------------------------------------------

-- The server and timeline that the books are kept on: a restore changes one of them.
CREATE TABLE database_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    system   text NOT NULL,
    timeline integer NOT NULL
);

-- While one is not released nothing is submitted or sent: the books may not know what the bank has paid.
CREATE TABLE restore_locks (
    lock_id      uuid PRIMARY KEY DEFAULT uuidv7(),
    because      text NOT NULL,
    locked_by    text NOT NULL,
    locked_at    timestamptz NOT NULL,
    released_at  timestamptz,
    -- Payments that the bank knew and the books did not.
    written_back integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX restore_locks_one_in_force ON restore_locks ((true)) WHERE released_at IS NULL;

-- Recoveries ------------------------------------------------------------------------------------------------------------

CREATE TABLE recoveries (
    recovery_id uuid PRIMARY KEY DEFAULT uuidv7(),
    person_id   text NOT NULL,
    -- The id under which it was opened; it may have been corrected since.
    opened_of   text NOT NULL,
    subsidy     text NOT NULL CHECK (subsidy IN ('living', 'care')),
    area        text NOT NULL,
    cause       text NOT NULL,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    version     integer NOT NULL DEFAULT 1,
    opened_on   date NOT NULL,
    closed_on   date,
    plan        jsonb,
    -- Against whom: the person, or after death the estate; never another person.
    debtor      text NOT NULL DEFAULT 'person' CHECK (debtor IN ('person', 'estate')),
    -- The share of later payments that is set off, and the consent or written decision that allows it.
    offset_percent smallint NOT NULL DEFAULT 0 CHECK (offset_percent BETWEEN 0 AND 90),
    offset_basis   text,
    CHECK (offset_percent = 0 OR (offset_basis IS NOT NULL AND debtor = 'person')),
    CHECK ((status = 'closed') = (closed_on IS NOT NULL))
);
CREATE UNIQUE INDEX recoveries_one_open ON recoveries (opened_of, subsidy, cause) WHERE status = 'open';
CREATE INDEX recoveries_by_person ON recoveries (person_id, subsidy);
CREATE INDEX recoveries_by_area ON recoveries (area text_pattern_ops, status);

-- What a decision (not a fact) says was not due for a month that was paid: fraud, a late report, an error.
CREATE TABLE disallowances (
    person_id  text NOT NULL,
    subsidy    text NOT NULL CHECK (subsidy IN ('living', 'care')),
    period     date NOT NULL CHECK (extract(day FROM period) = 1),
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    -- Nothing of the month was due, whatever its standard becomes; `amount_fen` is what had been paid.
    whole      boolean NOT NULL,
    cause      text NOT NULL CHECK (cause IN ('fraud', 'late_report', 'error')),
    source     text NOT NULL CHECK (source IN ('tip_off', 'check', 'comparison', 'self_report', 'other')),
    reason     text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (person_id, subsidy, period)
);

CREATE TABLE recovery_months (
    recovery_id     uuid NOT NULL REFERENCES recoveries,
    period          date NOT NULL CHECK (extract(day FROM period) = 1),
    claimed_fen     bigint NOT NULL,
    repaid_fen      bigint NOT NULL DEFAULT 0 CHECK (repaid_fen >= 0),
    written_off_fen bigint NOT NULL DEFAULT 0 CHECK (written_off_fen >= 0),
    book_area       text NOT NULL,
    book_year       integer NOT NULL,
    PRIMARY KEY (recovery_id, period),
    CHECK (repaid_fen + written_off_fen <= claimed_fen)
);

CREATE TABLE repayments (
    repayment_id uuid PRIMARY KEY DEFAULT uuidv7(),
    recovery_id  uuid NOT NULL REFERENCES recoveries,
    amount_fen   bigint NOT NULL CHECK (amount_fen > 0),
    repaid_on    date NOT NULL,
    document_no  text,
    -- Set off against a payment; reversed when the bank returned that payment.
    payment_id   uuid UNIQUE,
    reversed_on  date,
    recorded_by  text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (recovery_id, document_no)
);

CREATE TABLE write_offs (
    write_off_id uuid PRIMARY KEY DEFAULT uuidv7(),
    recovery_id  uuid NOT NULL REFERENCES recoveries,
    amount_fen   bigint NOT NULL CHECK (amount_fen > 0),
    reason       text NOT NULL,
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    approved_by  text CHECK (approved_by <> proposed_by),
    approved_at  timestamptz
);
CREATE UNIQUE INDEX write_offs_one_proposed ON write_offs (recovery_id) WHERE approved_at IS NULL;

-- Institutions, tolerance, work funds ---------------------------------------------------------------------------------

-- Children whose guardian is an institution, and since when (notice 4.6).
CREATE TABLE institution_children (
    person_id   text NOT NULL,
    org_code    text NOT NULL,
    area        text NOT NULL,
    days        daterange NOT NULL CHECK (NOT isempty(days) AND lower(days) IS NOT NULL),
    -- Under which payees the institution was paid, where they told it; where an official did, the days decide.
    payees      int8range CHECK (NOT isempty(payees)),
    recorded_by text NOT NULL,
    PRIMARY KEY (person_id, days WITHOUT OVERLAPS)
);
CREATE INDEX institution_children_by_org ON institution_children (org_code);

-- What an institution used of a child's money; administrative expenses are not among it.
CREATE TABLE institution_uses (
    use_id      uuid PRIMARY KEY DEFAULT uuidv7(),
    org_code    text NOT NULL,
    person_id   text NOT NULL,
    category    text NOT NULL CHECK (category IN (
        'food_and_clothing', 'nursing', 'medical', 'rehabilitation', 'education', 'assistive_devices', 'returned')),
    amount_fen  bigint NOT NULL CHECK (amount_fen > 0),
    used_on     date NOT NULL,
    receipt_no  text NOT NULL,
    note        text,
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_code, person_id, receipt_no)
);
CREATE TRIGGER institution_uses_append_only BEFORE DELETE OR TRUNCATE ON institution_uses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER institution_uses_stay BEFORE UPDATE ON institution_uses FOR EACH ROW
    WHEN ((old.use_id, old.org_code, old.category, old.amount_fen, old.used_on, old.receipt_no, old.note,
           old.recorded_by, old.recorded_at)
          IS DISTINCT FROM
          (new.use_id, new.org_code, new.category, new.amount_fen, new.used_on, new.receipt_no, new.note,
           new.recorded_by, new.recorded_at))
    EXECUTE FUNCTION refuse_change();

-- What was paid to an institution and is not booked as its child's money yet: it was recorded as the child's guardian for
-- that day, or told with the payee that was paid.
CREATE VIEW to_entrust AS
SELECT DISTINCT ON (p.payment_id) p.payment_id, p.person_id, p.subsidy, p.book_area, p.book_year, p.settled_on, c.org_code,
       p.amount_fen - p.offset_fen AS amount_fen
FROM payments p
JOIN institution_children c ON c.person_id = p.person_id
     AND CASE WHEN c.payees IS NULL THEN c.days @> p.settled_on ELSE c.payees @> p.payee_version END
WHERE p.status = 'settled' AND p.holder = 'institution'
  AND NOT EXISTS (SELECT FROM postings b WHERE b.cause = 'entrusting' AND b.cause_id = p.payment_id::text)
ORDER BY p.payment_id, c.payees IS NULL, c.days;

-- Persons' own accounts (个人明细账) ---------------------------------------------------------------------------------------

-- What of each book is whose. What is booked person by person stands in the postings; what is booked of many at once, in
-- the payments and openings that it was booked of. An invariant adds them up to the books (sql/control.sql).
CREATE VIEW personal_postings AS
SELECT b.*
FROM postings b
WHERE b.person_id IS NOT NULL AND NOT EXISTS (SELECT FROM merged_persons m WHERE m.person_id = b.person_id)
UNION ALL
SELECT b.posting_id, b.cause, b.cause_id, b.told_by, m.into_person_id, b.org_code, b.book_area, b.subsidy, b.book_year,
       b.debit, b.credit, b.amount_fen, b.booked_on, b.booked_at
FROM merged_persons m
JOIN postings b USING (person_id);

CREATE VIEW personal_balances AS
SELECT person_id, book_area, subsidy, book_year, account, sum(amount_fen)::bigint AS balance_fen
FROM (
    SELECT person_id, book_area, subsidy, book_year, debit AS account, amount_fen FROM personal_postings
    UNION ALL
    SELECT person_id, book_area, subsidy, book_year, credit, -amount_fen FROM personal_postings
    UNION ALL
    SELECT person_id, book_area, subsidy, book_year, 'paid', amount_fen FROM opening_months
) AS sides
WHERE account IN ('paid', 'institution_funds', 'receivable', 'refunded', 'written_off')
GROUP BY person_id, book_area, subsidy, book_year, account
UNION ALL
SELECT p.person_id, p.book_area, p.subsidy, p.book_year, CASE p.status WHEN 'sent' THEN 'clearing' ELSE 'committed' END,
       sum(p.amount_fen)::bigint
FROM payments p
JOIN cycles c USING (cycle_id)
WHERE p.status IN ('pending', 'sent') AND c.submitted_at IS NOT NULL
GROUP BY p.person_id, p.book_area, p.subsidy, p.book_year, p.status;

-- The tolerance list (容错纠错清单) of an area, version by version; a version holds until the next one (notice 7.2).
CREATE TABLE tolerance_lists (
    list_id      uuid PRIMARY KEY DEFAULT uuidv7(),
    area         text NOT NULL,
    version      integer NOT NULL,
    in_force_on  date NOT NULL,
    published_on date NOT NULL,
    document_no  text NOT NULL,
    clauses      jsonb NOT NULL CHECK (jsonb_typeof(clauses) = 'array'),
    published_by text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (area, version),
    UNIQUE (area, in_force_on),
    -- A list does not excuse what was done before it was published.
    CHECK (in_force_on >= published_on)
);
CREATE TRIGGER tolerance_lists_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tolerance_lists
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE deviations (
    deviation_id uuid PRIMARY KEY DEFAULT uuidv7(),
    area         text NOT NULL,
    handler      text NOT NULL,
    happened_on  date NOT NULL,
    found_in     text NOT NULL,
    what         text NOT NULL,
    loss_fen     bigint NOT NULL DEFAULT 0 CHECK (loss_fen >= 0),
    recorded_by  text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    factors      jsonb,
    verdict      text CHECK (verdict IN ('tolerated', 'mitigated', 'not_tolerated')),
    list_id      uuid REFERENCES tolerance_lists,
    clause       text,
    reason       text,
    assessed_by  text CHECK (assessed_by NOT IN (handler, recorded_by)),
    assessed_at  timestamptz,
    CHECK ((verdict IS NULL) = (assessed_by IS NULL)
           AND (verdict IS NULL OR (factors IS NOT NULL AND clause IS NOT NULL AND list_id IS NOT NULL)))
);
CREATE INDEX deviations_by_area ON deviations (area text_pattern_ops);

-- Work funds (notice 6.3): budgets, what was spent, service contracts, and the work done, by area.
CREATE TABLE work_funds (
    entry_id     uuid PRIMARY KEY DEFAULT uuidv7(),
    area         text NOT NULL,
    year         integer NOT NULL CHECK (year BETWEEN 2000 AND 2200),
    kind         text NOT NULL CHECK (kind IN ('budget', 'spending', 'contract', 'workload')),
    title        text NOT NULL,
    counterparty text,
    amount_fen   bigint CHECK (amount_fen > 0),
    quantity     integer CHECK (quantity > 0),
    document_no  text NOT NULL,
    recorded_by  text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (area, year, kind, document_no),
    CHECK (kind <> 'contract' OR counterparty IS NOT NULL),
    CHECK ((kind = 'workload') = (quantity IS NOT NULL) AND (kind = 'workload') = (amount_fen IS NULL))
);

-- Uploads of the monthly table to the national system, with its receipt (notice 4.2).
CREATE TABLE statistics_uploads (
    upload_id   uuid PRIMARY KEY DEFAULT uuidv7(),
    area        text NOT NULL,
    period      date NOT NULL CHECK (extract(day FROM period) = 1),
    digest      text NOT NULL,
    receipt_no  text NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at timestamptz NOT NULL,
    UNIQUE (area, period, digest)
);

-- By which day of the month an area's payments are to be settled (notice 6.1).
CREATE TABLE payment_schedules (
    area       text PRIMARY KEY,
    pay_by_day smallint NOT NULL CHECK (pay_by_day BETWEEN 1 AND 28),
    set_by     text NOT NULL
);
