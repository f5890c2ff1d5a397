"""The tables that queries are built on; `migrations/schema_v1.sql` has them with their constraints."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

persons = Table(
    "persons",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("area", Text),
    Column("sealed_identity", Text),
    Column("phone_given_at", DateTime(timezone=True)),
    Column("adult_on", Date),
    Column("certificate", JSONB(none_as_null=True)),
    Column("incapacity", JSONB(none_as_null=True)),
    Column("payee_version", BigInteger),
    Column("contact_version", BigInteger),
    Column("cannot_act_told", Boolean),
    Column("guardian_in_question", Boolean),
    Column("phone_token", Text),
    Column("name_birth_token", Text),
    Column("merged_into", Text),
    Column("created_at", DateTime(timezone=True)),
)

applications = Table(
    "applications",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("receipt_no", Text),
    Column("person_id", Text),
    Column("area", Text),
    Column("accepted_area", Text),
    Column("channel", Text),
    Column("import_id", UUID),
    Column("subsidies", ARRAY(Text)),
    Column("applied_on", Date),
    Column("committed_on", Date),
    Column("commitment_version", Text),
    Column("accrues_from", Date),
    Column("received_on", Date),
    Column("status", Text),
    Column("stage", Text),
    Column("due_on", Date),
    Column("version", BigInteger),
    Column("facts", JSONB),
    Column("sealed_declaration", Text),
    Column("township_by", Text),
    Column("cdpf_by", Text),
    Column("civil_affairs_by", Text),
    Column("reviewed_on", Date),
    Column("decided_on", Date),
    Column("withdrawn_on", Date),
    Column("granted", ARRAY(Text)),
    Column("refused", JSONB),
    Column("reason", Text),
    Column("account_token", Text),
    Column("submitted_by", Text),
    Column("submitted_at", DateTime(timezone=True)),
)

applied_subsidies = Table(
    "applied_subsidies",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("subsidy", Text, primary_key=True),
    Column("person_id", Text),
    Column("state", Text),
    Column("granted_after_version", BigInteger),
)

reviews = Table(
    "reviews",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("stage", Text),
    Column("outcome", Text),
    Column("reason", Text),
    Column("sub", Text),
    Column("reviewed_on", Date),
    Column("reviewed_at", DateTime(timezone=True)),
)

assessments = Table(
    "assessments",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("application_version", BigInteger),
    Column("policy_version", Text),
    Column("decisions", JSONB),
    Column("assessed_at", DateTime(timezone=True)),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("subsidy", Text, primary_key=True),
    Column("version", BigInteger),
    Column("is_open", Boolean),
    Column("last_period", Date),
)

guardians = Table(
    "guardians",
    metadata,
    Column("guardian_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("kind", Text),
    Column("sealed_guardian", Text),
    Column("effective_on", Date),
    Column("recorded_at", DateTime(timezone=True)),
    Column("replaced_at", DateTime(timezone=True)),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("holder", Text),
    Column("institution", Text),
    Column("status", Text),
    Column("bank", Text),
    Column("sealed_holder_name", Text),
    Column("sealed_number", Text),
    Column("number_last4", Text),
    Column("number_token", Text),
    Column("reason", Text),
    Column("effective_on", Date),
    Column("recorded_at", DateTime(timezone=True)),
    Column("replaced_at", DateTime(timezone=True)),
)

changes = Table(
    "changes",
    metadata,
    Column("change_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("kind", Text),
    Column("sealed_body", Text),
    Column("effective_on", Date),
    Column("status", Text),
    Column("proposed_by", Text),
    Column("proposed_at", DateTime(timezone=True)),
    Column("approved_by", Text),
    Column("approved_at", DateTime(timezone=True)),
    Column("rejected_by", Text),
    Column("rejected_at", DateTime(timezone=True)),
    Column("reason", Text),
    Column("against", ARRAY(Text)),
)

register_leads = Table(
    "register_leads",
    metadata,
    Column("lead_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("kind", Text),
    Column("source", Text),
    Column("as_of", Date),
    Column("said", JSONB),
    Column("status", Text),
    Column("opened_on", Date),
    Column("due_on", Date),
    Column("closed_on", Date),
    Column("dismissal_proposed_by", Text),
    Column("reason", Text),
    Column("dismissed_by", Text),
)

objections = Table(
    "objections",
    metadata,
    Column("objection_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("area", Text),
    Column("application_id", UUID),
    Column("subsidy", Text),
    Column("period", Date),
    Column("sealed_text", Text),
    Column("status", Text),
    Column("filed_by", Text),
    Column("filed_on", Date),
    Column("filed_at", DateTime(timezone=True)),
    Column("due_on", Date),
    Column("decided_by", Text),
    Column("decided_on", Date),
    Column("reason", Text),
    Column("new_application_id", UUID),
    Column("handle_by", Date),
    Column("handled_by", Text),
    Column("handled_on", Date),
    Column("handling", Text),
)

forwardings = Table(
    "forwardings",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("accepted_area", Text),
    Column("deciding_area", Text),
    Column("forward_due_on", Date),
    Column("forwarded_on", Date),
    Column("forwarded_by", Text),
    Column("decide_due_on", Date),
    Column("decided_on", Date),
    Column("tell_due_on", Date),
    Column("told_on", Date),
    Column("told_by", Text),
)

transfers = Table(
    "transfers",
    metadata,
    Column("transfer_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("from_area", Text),
    Column("to_area", Text),
    Column("moved_on", Date),
    Column("status", Text),
    Column("due_on", Date),
    Column("proposed_by", Text),
    Column("proposed_at", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("decided_on", Date),
    Column("reason", Text),
)

escalations = Table(
    "escalations",
    metadata,
    Column("escalation_id", UUID, primary_key=True),
    Column("kind", Text),
    Column("subject_id", UUID),
    Column("office", Text),
    Column("area", Text),
    Column("escalated_to", Text),
    Column("due_on", Date),
    Column("escalated_on", Date),
    Column("resolved_on", Date),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("sub", Text, primary_key=True),
    Column("url", Text),
    Column("sealed_secret", Text),
    Column("set_at", DateTime(timezone=True)),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", UUID, primary_key=True),
    Column("sub", Text),
    Column("application_id", UUID),
    Column("body", Text),
    Column("attempts", Integer),
    Column("due_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Column("dead_at", DateTime(timezone=True)),
    Column("problem", Text),
)

publications = Table(
    "publications",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("area", Text, primary_key=True),
    Column("published_on", Date, primary_key=True),
    Column("policy_version", Text),
    Column("digest", Text),
)

paper_deliveries = Table(
    "paper_deliveries",
    metadata,
    Column("delivery_id", UUID, primary_key=True),
    Column("application_id", UUID),
    Column("kind", Text),
    Column("delivered_on", Date),
    Column("method", Text),
    Column("received_by", Text),
    Column("recorded_by", Text),
    Column("recorded_at", DateTime(timezone=True)),
)

roster_imports = Table(
    "roster_imports",
    metadata,
    Column("import_id", UUID, primary_key=True),
    Column("area", Text),
    Column("sha256", Text),
    Column("size", BigInteger),
    Column("format", Text),
    Column("encoding", Text),
    Column("sealed_key", Text),
    Column("object_name", Text),
    Column("rows", Integer),
    Column("position", Integer),
    Column("imported_by", Text),
    Column("imported_at", DateTime(timezone=True)),
    Column("imported_on", Date),
    Column("read_at", DateTime(timezone=True)),
    Column("answered_at", DateTime(timezone=True)),
    Column("decided_at", DateTime(timezone=True)),
)

roster_rejects = Table(
    "roster_rejects",
    metadata,
    Column("import_id", UUID),
    Column("row", Integer),
    Column("field", Text),
    Column("kind", Text),
    Column("reason", Text),
    Column("reject_id", BigInteger, primary_key=True),
)
