"""The tables of matching as queries name them; the constraints stand in `migrations/schema_v1.sql`."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, JSONB

metadata = MetaData()

feeds = Table(
    "feeds",
    metadata,
    Column("feed_id", Uuid, primary_key=True),
    Column("source", String),
    Column("area", String),
    Column("as_of", Date),
    Column("mode", String),
    Column("digest", String),
    Column("status", String),
    Column("authoritative", Boolean),
    Column("sent_by", String),
    Column("received_at", DateTime(timezone=True)),
    Column("accepted", BIGINT),
    Column("rejected", BIGINT),
    Column("stored_digest", String),
    Column("facts", BIGINT),
    Column("refusal", String),
    Column("notices", ARRAY(String)),
    Column("released_by", String),
    Column("released_at", DateTime(timezone=True)),
    Column("release_note", String),
)

_FACT_COLUMNS = (
    ("fact_id", Uuid),
    ("person_id", String),
    ("kind", String),
    ("about", String),
    ("occurred_on", Date),
    ("known_at", DateTime(timezone=True)),
    ("source", String),
    ("area", String),
    ("data", JSONB),
    ("feed_id", Uuid),
    ("finding_id", Uuid),
    ("asserted_by", String),
    ("retracts", Uuid),
)

facts = Table("facts", metadata, *(Column(name, kind) for name, kind in _FACT_COLUMNS))

standing_facts = Table("standing_facts", metadata, *(Column(name, kind) for name, kind in _FACT_COLUMNS))
"""A view: the facts that are not retracted."""

roster = Table(
    "roster",
    metadata,
    Column("person_id", String, primary_key=True),
    Column("subsidy", String, primary_key=True),
    Column("version", BIGINT),
    Column("area", String),
    Column("schedule", JSONB),
    Column("stopped_because", String),
)

applications = Table(
    "applications",
    metadata,
    Column("application_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("version", BIGINT),
    Column("area", String),
    Column("status", String),
    Column("applied_on", Date),
    Column("certificate", JSONB(none_as_null=True)),
)

contact_names = Table(
    "contact_names",
    metadata,
    Column("person_id", String, primary_key=True),
    Column("version", BIGINT),
    Column("event_id", Uuid),
    Column("name", String),
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("comparison_id", Uuid, primary_key=True),
    Column("level", String),
    Column("area", String),
    Column("as_of", Date),
    Column("status", String),
    Column("inputs", JSONB),
    Column("missing", JSONB),
    Column("roster_digest", String),
    Column("rules", JSONB),
    Column("compared", BIGINT),
    Column("found_digest", String),
    Column("leads", BIGINT),
    Column("noted", BIGINT),
    Column("findings", BIGINT),
    Column("by_kind", JSONB),
    Column("discrepancies", BIGINT),
    Column("digest", String),
    Column("failure", String),
    Column("run_by", String),
    Column("run_at", DateTime(timezone=True)),
)

rule_texts = Table(
    "rule_texts",
    metadata,
    Column("digest", String, primary_key=True),
    Column("name", String),
    Column("body", String),
)

discrepancies = Table(
    "discrepancies",
    metadata,
    Column("discrepancy_id", Uuid, primary_key=True),
    Column("comparison_id", Uuid),
    Column("person_id", String),
    Column("kind", String),
    Column("area", String),
    Column("source", String),
    Column("other_source", String),
    Column("mark", String),
    Column("evidence", JSONB),
    Column("noted_on", Date),
    Column("status", String),
    Column("note", String),
    Column("resolved_by", String),
    Column("resolved_at", DateTime(timezone=True)),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("comparison_id", Uuid, primary_key=True),
    Column("seq", BIGINT, primary_key=True),
    Column("body", String),
    Column("hash", String),
)

findings = Table(
    "findings",
    metadata,
    Column("finding_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("kind", String),
    Column("about", String),
    Column("area", String),
    Column("status", String),
    Column("version", BIGINT),
    Column("alleged_on", Date),
    Column("hold_from", String),
    Column("opened_on", Date),
    Column("opened_at", DateTime(timezone=True)),
    Column("due_on", Date),
    Column("overdue_since", Date),
    Column("assigned_to", String),
    Column("decision", String),
    Column("decided_by", String),
    Column("decided_on", Date),
    Column("decision_note", String),
    Column("detail", JSONB),
    Column("comparison_id", Uuid),
    Column("method", String),
    Column("effective_on", Date),
    Column("note", String),
    Column("evidence", JSONB(none_as_null=True)),
    Column("verified_by", String),
    Column("verified_at", DateTime(timezone=True)),
    Column("fact_id", Uuid),
)

claims = Table(
    "claims",
    metadata,
    Column("claim_id", Uuid, primary_key=True),
    Column("finding_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("kind", String),
    Column("about", String),
    Column("source", String),
    Column("alleged_on", Date),
    Column("detail", JSONB),
    Column("feed_id", Uuid),
    Column("feed_row", BIGINT),
    Column("reported_by", String),
    Column("noted_at", DateTime(timezone=True)),
)

monthly_signoffs = Table(
    "monthly_signoffs",
    metadata,
    Column("area", String, primary_key=True),
    Column("period", String, primary_key=True),
    Column("changes", Boolean),
    Column("signed_by", String),
    Column("signed_at", DateTime(timezone=True)),
)

persons = Table(
    "persons",
    metadata,
    Column("person_id", String, primary_key=True),
    Column("birth_year", Integer),
    Column("merged_into", String),
)

outreach = Table(
    "outreach",
    metadata,
    Column("outreach_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("area", String),
    Column("because", String),
    Column("status", String),
    Column("version", BIGINT),
    Column("began_on", Date),
    Column("identified_on", Date),
    Column("remind_by", Date),
    Column("prescreened_on", Date),
    Column("eligible", JSONB),
    Column("decisions", JSONB),
    Column("reminder_requested_on", Date),
    Column("reminded_on", Date),
    Column("reminded_by", String),
    Column("lapses_after", Date),
    Column("task_due_on", Date),
    Column("alarm_since", Date),
    Column("applied_on", Date),
    Column("lapsed_on", Date),
    Column("closed_on", Date),
    Column("closed_because", String),
    Column("note", String),
)

proofs_of_life = Table(
    "proofs_of_life",
    metadata,
    Column("proof_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("area", String),
    Column("status", String),
    Column("risk", String),
    Column("because", String),
    Column("last_sign_on", Date),
    Column("due_on", Date),
    Column("late_after", Date),
    Column("attempts", Integer),
    Column("tried", JSONB),
    Column("outcome", String),
    Column("method", String),
    Column("proved_on", Date),
    Column("proved_by", String),
    Column("finding_id", Uuid),
)

evidence = Table(
    "evidence",
    metadata,
    Column("evidence_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("area", String),
    Column("subject", String),
    Column("digest", String),
    Column("size_bytes", BIGINT),
    Column("media_type", String),
    Column("stored_by", String),
    Column("stored_at", DateTime(timezone=True)),
)

face_checks = Table(
    "face_checks",
    metadata,
    Column("face_check_id", Uuid, primary_key=True),
    Column("person_id", String),
    Column("subject", String),
    Column("evidence_id", Uuid),
    Column("matched", Boolean),
    Column("provider_ref", String),
    Column("checked_by", String),
    Column("checked_at", DateTime(timezone=True)),
)

duty_plans = Table(
    "duty_plans",
    metadata,
    Column("plan_id", Uuid, primary_key=True),
    Column("kind", String),
    Column("area", String),
    Column("planned_on", Date),
    Column("due_on", Date),
    Column("status", String),
    Column("override_reason", String),
    Column("planned_by", String),
    Column("planned_at", DateTime(timezone=True)),
    Column("comparison_id", Uuid),
    Column("done_on", Date),
)

annual_coverage = Table(
    "annual_coverage",
    metadata,
    Column("year", Integer, primary_key=True),
    Column("person_id", String, primary_key=True),
    Column("comparison_id", Uuid),
)

escalations = Table(
    "escalations",
    metadata,
    Column("escalation_id", Uuid, primary_key=True),
    Column("kind", String),
    Column("subject", String),
    Column("area", String),
    Column("raised_to", String),
    Column("says", String),
    Column("due_on", Date),
    Column("raised_on", Date),
    Column("closed_on", Date),
)
