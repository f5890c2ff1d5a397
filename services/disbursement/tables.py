"""The tables that lists and point queries are built on; `migrations/schema_v1.sql` has all, with their constraints."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import TypeDecorator

from libs.common.period import Period


class PeriodColumn(TypeDecorator[Period]):
    """A `Period`, stored as the first day of its month."""

    impl = Date
    cache_ok = True

    def process_bind_param(self, value: Period | str | None, dialect: Dialect) -> date | None:
        if value is None:
            return None
        return (Period.parse(value[:7]) if isinstance(value, str) else value).first_day

    def process_result_value(self, value: Any, dialect: Dialect) -> Period | None:
        return None if value is None else Period.of(value)


metadata = MetaData()

cycles = Table(
    "cycles",
    metadata,
    Column("cycle_id", UUID, primary_key=True),
    Column("area", Text),
    Column("period", PeriodColumn),
    Column("subsidy", Text),
    Column("channel", Text),
    Column("status", Text),
    Column("created_by", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("concurred_by", Text),
    Column("concurred_at", DateTime(timezone=True)),
    Column("approved_by", Text),
    Column("approved_at", DateTime(timezone=True)),
    Column("requested_by", Text),
    Column("requested_at", DateTime(timezone=True)),
    Column("refused_because", Text),
    Column("submitted_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    Column("reconciled_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
)

payments = Table(
    "payments",
    metadata,
    Column("payment_id", UUID, primary_key=True),
    Column("period", PeriodColumn, primary_key=True),
    Column("person_id", Text),
    Column("subsidy", Text),
    Column("attempt", Integer),
    Column("cycle_id", UUID),
    Column("area", Text),
    Column("level", SmallInteger),
    Column("amount_fen", BigInteger),
    Column("entitled_fen", BigInteger),
    Column("paid_before_fen", BigInteger),
    Column("status", Text),
    Column("version", Integer),
    Column("book_area", Text),
    Column("book_year", Integer),
    Column("batch_id", UUID),
    Column("payee_version", BigInteger),
    Column("bank_ref", Text),
    Column("code", Text),
    Column("settled_on", Date),
    Column("failed_on", Date),
    Column("returned_on", Date),
)

heirs = Table(
    "heirs",
    metadata,
    Column("heir_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("relation", Text),
    Column("holder_name", Text),
    Column("number_last4", Text),
    Column("document_no", Text),
    Column("proposed_by", Text),
    Column("proposed_at", DateTime(timezone=True)),
    Column("approved_by", Text),
    Column("approved_at", DateTime(timezone=True)),
    Column("end_reason", Text),
    Column("end_proposed_by", Text),
    Column("ended_by", Text),
    Column("replaced_at", DateTime(timezone=True)),
)

payees = Table("payees", metadata, Column("person_id", Text, primary_key=True), Column("area", Text))

cases = Table(
    "cases",
    metadata,
    Column("case_id", UUID, primary_key=True),
    Column("kind", Text),
    Column("subject", Text),
    Column("area", Text),
    Column("period", PeriodColumn),
    Column("person_id", Text),
    Column("payment_id", UUID),
    Column("cycle_id", UUID),
    Column("detail", JSONB),
    Column("opened_at", DateTime(timezone=True)),
    Column("due_on", Date),
    Column("assigned_to", Text),
    Column("assigned_by", Text),
    Column("assigned_from", Text),
    Column("assigned_at", DateTime(timezone=True)),
    Column("demand", Text),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_by", Text),
    Column("resolution", Text),
)

recoveries = Table(
    "recoveries",
    metadata,
    Column("recovery_id", UUID, primary_key=True),
    Column("person_id", Text),
    Column("subsidy", Text),
    Column("area", Text),
    Column("cause", Text),
    Column("status", Text),
    Column("version", Integer),
    Column("opened_on", Date),
    Column("closed_on", Date),
    Column("plan", JSONB),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("reconciliation_id", UUID, primary_key=True),
    Column("area", Text),
    Column("period", PeriodColumn),
    Column("clean", Boolean),
    Column("certificate", JSONB),
    Column("digest", Text),
    Column("run_by", Text),
    Column("run_at", DateTime(timezone=True)),
)

period_closings = Table(
    "period_closings",
    metadata,
    Column("area", Text, primary_key=True),
    Column("period", PeriodColumn, primary_key=True),
    Column("reconciliation_id", UUID),
    Column("balances", JSONB),
    Column("digest", Text),
    Column("closed_by", Text),
    Column("closed_at", DateTime(timezone=True)),
)
