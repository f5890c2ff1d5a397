"""The bank's books.

Revision ID: 0001
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = (Path(__file__).parents[1] / "schema_v1.sql").read_text("utf-8")
    op.get_bind().connection.dbapi_connection.run_async(  # type: ignore[union-attr]
        lambda driver: driver.execute(script)
    )
