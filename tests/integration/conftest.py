"""Services on databases of their own, as several modules test them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from libs.common.settings import Settings
from services.matching.main import build
from tests.conftest import Databases, Issuer, Running, running
from tests.integration.intake import Office, open_intake, open_office
from tests.integration.matching import Matching


@pytest.fixture
async def matching(
    databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> AsyncIterator[Matching]:
    settings = make_settings(await databases.fresh("matching"), data_dir=tmp_path)
    async with running(build(settings), settings) as started:
        yield Matching(started, issuer)


@pytest.fixture(scope="module")
async def intake(databases: Databases, issuer: Issuer) -> AsyncIterator[Running]:
    async with open_intake(databases, issuer) as started:
        yield started


@pytest.fixture
async def office(intake: Running, issuer: Issuer) -> AsyncIterator[Office]:
    async with open_office(intake, issuer) as opened:
        yield opened
