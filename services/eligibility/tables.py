"""The tables of eligibility, as its migrations build them.

`assertions` and `entitlements` are append-only: what was asserted stands until a retraction, and every version of an
entitlement is kept with the moment it was recorded. Assertions of one source may overlap or contradict one another:
refusing one would lose a fact that somebody told, so all are kept, folded, and shown where they disagree
(`disagreements.py`). What this service decides itself may not overlap: the database excludes two values of one
parameter for one day (`policy_values`), as known at any moment.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, DATERANGE, JSONB, UUID

metadata = MetaData()

persons = Table(
    "persons",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("area", Text),
    Column("lived_in", ARRAY(Text), nullable=False),
    Column("merged_into", Text),
)

assertions = Table(
    "assertions",
    metadata,
    Column("fact_id", UUID, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("valid", DATERANGE, nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("source", Text, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

applications = Table(
    "applications",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("area", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("subsidies", ARRAY(Text), nullable=False),
    Column("applied_on", Date, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("told_at", DateTime(timezone=True), nullable=False),
    Column("reviewed_on", Date),
    Column("final", Boolean, nullable=False),
    Column("granted", ARRAY(Text), nullable=False),
    Column("decided_on", Date),
    Column("withdrawn_on", Date),
)

assessments = Table(
    "assessments",
    metadata,
    Column("application_id", UUID, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("application_version", BigInteger, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("decisions", JSONB, nullable=False),
    Column("assessed_at", DateTime(timezone=True), nullable=False),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("subsidy", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("schedule", JSONB, nullable=False),
    Column("stopped_because", Text),
    Column("died_on", Date),
    Column("cause", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("policy_id", UUID, primary_key=True),
    Column("area", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("since", Date, nullable=False),
    Column("status", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text),
    Column("approved_at", DateTime(timezone=True)),
    Column("approval_no", BigInteger),
)

reevaluations = Table(
    "reevaluations",
    metadata,
    Column("policy_id", UUID, primary_key=True),
    Column("area", Text, nullable=False),
    Column("after_person", Text, nullable=False),
    Column("after_application", UUID),
    Column("persons", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
)
