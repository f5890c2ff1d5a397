"""Messages, templates, contacts, and what people were last told of their entitlement.

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
    bind = op.get_bind()
    platform_schema.create(bind)
    script = (Path(__file__).parents[1] / "schema_v1.sql").read_text("utf-8")
    bind.connection.dbapi_connection.run_async(lambda driver: driver.execute(script))  # type: ignore[union-attr]
