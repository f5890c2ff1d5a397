-- The bank's books. What it accepted it never forgets: a killed bank goes on where it was.
CREATE TABLE batches (
    batch_id    text PRIMARY KEY,
    digest      text NOT NULL,
    period      text NOT NULL,
    department  text NOT NULL,
    project     text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE transfers (
    payment_id  text PRIMARY KEY,
    batch_id    text NOT NULL REFERENCES batches,
    payee_name  text NOT NULL,
    account     text NOT NULL,
    bank        text NOT NULL,
    amount_fen  bigint NOT NULL CHECK (amount_fen > 0),
    period_text text NOT NULL,
    phone       text,
    status      text NOT NULL DEFAULT 'accepted' CHECK (status IN ('accepted', 'settled', 'failed', 'returned')),
    code        text,
    bank_ref    text UNIQUE,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz,
    settled_on  date,
    failed_on   date,
    returned_on date,
    CHECK ((status IN ('settled', 'returned')) = (bank_ref IS NOT NULL)),
    CHECK ((status IN ('failed', 'returned')) = (code IS NOT NULL))
);
CREATE INDEX transfers_due ON transfers (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX transfers_by_acceptance ON transfers (accepted_at, payment_id);
CREATE INDEX transfers_by_batch ON transfers (batch_id);

-- Which payments a batch asked for, also those that an earlier batch had brought already.
CREATE TABLE batch_items (
    batch_id   text NOT NULL REFERENCES batches,
    position   integer NOT NULL,
    payment_id text NOT NULL REFERENCES transfers,
    PRIMARY KEY (batch_id, position)
);

-- What departments transferred to the bank to pay from (拨款), each once by its document.
CREATE TABLE appropriations (
    department   text NOT NULL,
    document_no  text NOT NULL,
    amount_fen   bigint NOT NULL CHECK (amount_fen > 0),
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (department, document_no)
);

-- Their accounts: what failed or came back is theirs again.
CREATE VIEW accounts AS
SELECT department, appropriated_fen, paid_fen, appropriated_fen - paid_fen AS balance_fen
FROM (SELECT department, sum(amount_fen)::bigint AS appropriated_fen FROM appropriations GROUP BY department) AS a
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.amount_fen), 0)::bigint AS paid_fen
    FROM batches b
    JOIN transfers t USING (batch_id)
    WHERE b.department = a.department AND t.status IN ('accepted', 'settled')
) AS p;

CREATE TABLE sms (
    sms_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id text NOT NULL REFERENCES transfers,
    phone      text,
    text       text NOT NULL,
    sent_at    timestamptz NOT NULL
);

CREATE TABLE webhooks (
    webhook_id   text PRIMARY KEY,
    receiver     text NOT NULL CHECK (receiver IN ('onecard', 'sms')),
    body         text NOT NULL,
    created_at   timestamptz NOT NULL,
    due_at       timestamptz,
    attempts     integer NOT NULL DEFAULT 0,
    delivered_at timestamptz
);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE faults (
    party  text PRIMARY KEY CHECK (party IN ('onecard', 'sms')),
    faults jsonb NOT NULL
);

-- What the SMS platform was given to send. `due_at`: when the network decides what becomes of it; null: never, or done.
CREATE TABLE texts (
    message_id  text PRIMARY KEY,
    phone       text NOT NULL,
    text        text NOT NULL,
    status      text NOT NULL DEFAULT 'accepted' CHECK (status IN ('accepted', 'delivered', 'failed')),
    reason      text,
    accepted_at timestamptz NOT NULL,
    due_at      timestamptz,
    finished_at timestamptz,
    CHECK ((status = 'accepted') = (finished_at IS NULL)),
    CHECK ((status = 'failed') = (reason IS NOT NULL))
);
CREATE INDEX texts_due ON texts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX texts_by_acceptance ON texts (accepted_at, message_id);
