"""The tables as queries use them; `migrations/schema_v1.sql` has their constraints."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, DateTime, Integer, MetaData, Table, Text
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
    Column("status", Text),
    Column("medium", Text),
    Column("reason", Text),
    Column("attempts", Integer),
    Column("next_try_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Column("delivered_on", Date),
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
    Column("name", Text),
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
)
