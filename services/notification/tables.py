"""The tables as queries use them; `migrations/schema_v1.sql` has their constraints."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()

messages = Table(
    "messages",
    metadata,
    Column("message_id", UUID, primary_key=True),
    Column("kind", Text),
    Column("cause", Text),
    Column("person_id", Text),
    Column("area", Text),
    Column("subject_id", UUID),
    Column("text", Text),
    Column("template_area", Text),
    Column("template_version", Integer),
    Column("phone", Text),
    Column("phone_token", Text),
    Column("sent_with", UUID),
    Column("status", Text),
    Column("medium", Text),
    Column("reason", Text),
    Column("attempts", Integer),
    Column("next_try_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Column("delivered_on", Date),
    Column("received_by", Text),
)

message_history = Table(
    "message_history",
    metadata,
    Column("message_id", UUID),
    Column("at", DateTime(timezone=True)),
    Column("status", Text),
    Column("reason", Text),
    Column("attempts", Integer),
)

templates = Table(
    "templates",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("area", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("text", Text),
    Column("written_by", Text),
    Column("written_at", DateTime(timezone=True)),
)

contacts = Table(
    "contacts",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("version", BigInteger),
    Column("area", Text),
    Column("phone", Text),
    Column("phone_token", Text),
    Column("name", Text),
    Column("guardian_phone", Text),
    Column("old_phone", Text),
    Column("old_phone_until", Date),
)

payees = Table(
    "payees",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("version", BigInteger),
    Column("number_token", Text),
)

facts = Table(
    "facts",
    metadata,
    Column("fact_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("kind", Text),
    Column("occurred_on", Date),
    Column("expires_on", Date),
    Column("retracted", Boolean),
)

deceased = Table("deceased", metadata, Column("person_id", Text, primary_key=True))

merged_persons = Table(
    "merged_persons",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("into_person_id", Text),
)

schedules = Table(
    "schedules",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("subsidy", Text, primary_key=True),
    Column("version", BigInteger),
    Column("area", Text),
    Column("runs", JSONB),
    Column("because", Text),
    Column("told_amount_fen", BigInteger),
    Column("told_since", Date),
    Column("look_again_on", Date),
    Column("paid_until", Date),
    Column("overpaid", JSONB),
)
