"""Alembic for every service: `python -m libs.common.migrations SERVICE` brings its database to the newest version.

A service keeps its versions in `services/<name>/migrations/versions/`; the first creates the platform's tables too.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.resources import files

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from libs.common.settings import settings_from_environment


def configuration(service: str, url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(f"services.{service}") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def upgrade(service: str, url: str) -> None:
    """Brings the database at `url` to the service's newest version."""
    command.upgrade(configuration(service, url), "head")


def run(metadata: MetaData) -> None:
    """What each service's `migrations/env.py` calls."""
    asyncio.run(_run(context.config.attributes["url"], metadata))


async def _run(url: str, metadata: MetaData) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(_migrate, metadata)
    await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        # Replicas may start together: one migrates, the others find it done.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7004)")
        context.run_migrations()


if __name__ == "__main__":
    upgrade(sys.argv[1], settings_from_environment().database_url)
