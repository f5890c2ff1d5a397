"""The tables of archives, their two stores, uploads and spot checks; `migrations/schema_v1.sql` has them with their
constraints."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, Date, DateTime, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB, UUID

from services.intake.tables import metadata

contents = Table(
    "contents",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger),
    Column("media_type", Text),
    Column("sealed_key", Text),
    Column("object_name", Text),
    Column("stored_at", DateTime(timezone=True), server_default=func.now()),
    Column("checked_at", DateTime(timezone=True)),
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
    Column("replaces", UUID),
)

archive_store_checks = Table(
    "archive_store_checks",
    metadata,
    Column("check_id", UUID, primary_key=True),
    Column("checked_at", DateTime(timezone=True)),
    Column("asked_by", Text),
    Column("checked", BigInteger),
    Column("repaired", JSONB),
    Column("lost", ARRAY(Text)),
)

national_uploads = Table(
    "national_uploads",
    metadata,
    Column("document_id", UUID, primary_key=True),
    Column("state", Text),
    Column("attempts", Integer),
    Column("due_at", DateTime(timezone=True)),
    Column("receipt_no", Text),
    Column("received_at", DateTime(timezone=True)),
    Column("problem", Text),
)

archive_checks = Table(
    "archive_checks",
    metadata,
    Column("archive_check_id", UUID, primary_key=True),
    Column("area", Text),
    Column("period", Date),
    Column("sample_size", Integer),
    Column("seed", Text),
    Column("population", Integer),
    Column("body", Text),
    Column("drawn_by", Text),
    Column("drawn_at", DateTime(timezone=True)),
)

archive_check_items = Table(
    "archive_check_items",
    metadata,
    Column("archive_check_id", UUID, primary_key=True),
    Column("application_id", UUID, primary_key=True),
    Column("stratum", Text),
    Column("verdict", Text),
    Column("missing", ARRAY(Text)),
    Column("judged_by", Text),
    Column("judged_at", DateTime(timezone=True)),
)

completion_tasks = Table(
    "completion_tasks",
    metadata,
    Column("task_id", UUID, primary_key=True),
    Column("archive_check_id", UUID),
    Column("application_id", UUID),
    Column("kind", Text),
    Column("area", Text),
    Column("opened_on", Date),
    Column("due_on", Date),
    Column("document_id", UUID),
    Column("done_on", Date),
)
