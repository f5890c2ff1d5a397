"""The tables that queries are built on; `migrations/schema_v1.sql` has them with their constraints."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

persons = Table(
    "persons",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("area", Text),
    Column("sealed_name", Text),
    Column("sealed_id_number", Text),
    Column("sealed_phone", Text),
    Column("adult_on", Date),
    Column("certificate", JSONB(none_as_null=True)),
    Column("incapacity", JSONB(none_as_null=True)),
    Column("payee_version", BigInteger),
    Column("contact_version", BigInteger),
    Column("cannot_act_told", Boolean),
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
    Column("subsidies", ARRAY(Text)),
    Column("applied_on", Date),
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
)

contents = Table(
    "contents",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger),
    Column("media_type", Text),
    Column("sealed_key", Text),
    Column("body", LargeBinary),
)

documents = Table(
    "documents",
    metadata,
    Column("document_id", UUID, primary_key=True),
    Column("application_id", UUID),
    Column("kind", Text),
    Column("source", Text),
    Column("sha256", Text),
    Column("uploaded_by", Text),
    Column("uploaded_at", DateTime(timezone=True), server_default=func.now()),
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
    Column("decided_by", Text),
    Column("decided_on", Date),
    Column("reason", Text),
)
