"""The first tables: persons, applications, reviews, assessments, accounts and guardians, archives, objections.

Revision ID: 0001
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

from libs.common import platform_schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_schema.create(op.get_bind())
    platform_schema.run_script(op.get_bind(), Path(__file__).parents[1] / "schema_v1.sql")
