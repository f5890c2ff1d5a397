"""Intake on a database of its own, its offices, and what eligibility tells it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from libs.common.auth import Role
from libs.common.clock import utc_now
from libs.common.database import new_id, rows
from libs.common.events.eligibility import (
    ApplicationAssessed,
    EntitledMonths,
    EntitlementChanged,
    SubsidyDecision,
)
from libs.common.events.envelope import Envelope, EventData
from libs.common.period import Period
from libs.common.projection import Received
from libs.common.settings import Settings
from services.intake.main import build
from tests.conftest import Databases, Issuer, Running, running
from tests.unit.intake.samples import declaration

_versions, _counties = itertools.count(1), itertools.count(1)


@dataclass
class Office:
    """Intake with everybody who works with it; `eligible` is what eligibility answers."""

    running: Running
    issuer: Issuer
    area: str

    def token(self, role: Role, sub: str | None = None, area: str | None = None) -> dict[str, str]:
        return self.issuer.bearer(role, area or self.area, sub)

    def declaration(self, **changes: Any) -> dict[str, Any]:
        """Somebody of this county applies."""
        return declaration(**{"area": f"{self.area}001", **changes})

    async def post(self, path: str, role: Role, body: Any = None, sub: str | None = None, **options: Any) -> Any:
        headers = self.token(role, sub, options.pop("area", None)) | options.pop("headers", {})
        return await self.running.http.post(f"/v1{path}", json=body, headers=headers, **options)

    async def put(self, path: str, role: Role, body: Any, sub: str | None = None) -> httpx.Response:
        return await self.running.http.put(f"/v1{path}", json=body, headers=self.token(role, sub))

    async def get(self, path: str, role: Role = "civil_affairs", **options: Any) -> httpx.Response:
        headers = self.token(role, options.pop("sub", None), options.pop("area", None))
        return await self.running.http.get(f"/v1{path}", headers=headers, **options)

    async def submit(self, body: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        answer = await self.post("/applications", "partner", body or self.declaration(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def review(self, application_id: str, stage: Role, outcome: str = "approve", **more: Any) -> httpx.Response:
        sub = more.pop("sub", f"{stage} clerk")
        body = {"stage": stage, "outcome": outcome, **more}
        answer: httpx.Response = await self.post(f"/applications/{application_id}/reviews", stage, body, sub)
        return answer

    async def approve_by_three(self, application_id: str, **more: dict[str, Any]) -> None:
        for stage in ("township", "cdpf", "civil_affairs"):
            answer = await self.review(application_id, stage, **more.get(stage, {}))
            assert answer.status_code == 200, answer.text

    async def read(self, application_id: str) -> dict[str, Any]:
        answer = await self.get(f"/applications/{application_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def tell(self, *events: EventData) -> None:
        """Eligibility tells this, as if over the bus."""
        received = [
            Received(Envelope(id=new_id(), source="/test", type=told.type, subject="", time=utc_now(), data={}), told)
            for told in events
        ]
        async with self.running.app.state.database.transaction() as tx:
            await self.running.app.state.projection.apply(tx, received)

    async def assess(self, application_id: str, *eligible: str, version: int | None = None) -> None:
        """Eligibility answers for the application's present version: `eligible` subsidies are payable."""
        if version is None:
            found = await self.rows(f"SELECT version FROM applications WHERE application_id = '{application_id}'")
            version = found[0]["version"]
        await self.tell(assessed(application_id, *eligible, version=version))

    async def granted(self, body: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A person whose application was approved for all it asked for."""
        submitted = await self.submit(body, **changes)
        await self.approve_by_three(submitted["application_id"])
        await self.assess(submitted["application_id"], "living", "care")
        return submitted

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        async with self.running.app.state.database.transaction() as tx:
            return list(rows(await tx.connection.execute(text(sql))))

    async def told(self, event_type: str, person_id: str) -> list[dict[str, Any]]:
        """The events of a type about a person, oldest first."""
        found = await self.rows(
            f"SELECT CAST(body AS jsonb) -> 'data' AS data FROM outbox WHERE type = '{event_type}.v1'"
            f" AND key = '{person_id}' ORDER BY seq"
        )
        return [row["data"] for row in found]


def assessed(application_id: str, *eligible: str, version: int) -> ApplicationAssessed:
    decisions = [
        SubsidyDecision.model_validate(
            {
                "subsidy": subsidy,
                "eligible": subsidy in eligible,
                "first_period": "2026-03" if subsidy in eligible else None,
                "amount_fen": 10000 if subsidy in eligible else 0,
                "reasons": [
                    {
                        "rule": "in scope",
                        "outcome": "pass" if subsidy in eligible else "fail",
                        "citation": "国发〔2015〕52号",
                        "detail": f"{subsidy} judged",
                    }
                ],
            }
        )
        for subsidy in ("living", "care")
    ]
    return ApplicationAssessed(
        person_id="",
        version=next(_versions),
        application_id=UUID(application_id),
        application_version=version,
        policy_version="test",
        decisions=tuple(decisions),
    )


@asynccontextmanager
async def open_intake(databases: Databases, issuer: Issuer, **changes: Any) -> AsyncIterator[Running]:
    """Intake on a new database, for many tests: each has a county of its own."""
    settings = Settings(
        database_url=await databases.fresh("intake"),
        roles="api",
        jwt_public_key=issuer.public_key,
        person_keys="1:" + "5a" * 32,
        sealing_keys="k1:" + "a5" * 16,
        **changes,
    )
    with tempfile.TemporaryDirectory(prefix="liangbu-archives-") as folder:
        settings.data_dir = Path(folder)
        async with running(build(settings), settings) as started:
            yield started


@asynccontextmanager
async def open_office(started: Running, issuer: Issuer) -> AsyncIterator[Office]:
    """The offices of a new county. At the end the invariants hold."""
    prefecture, county = divmod(next(_counties), 99)  # one that ends in 00 would be a prefecture
    office = Office(started, issuer, f"99{prefecture:02d}{county + 1:02d}")
    yield office
    held = await office.get("/invariants", "admin", area="00")
    assert held.json()["holds"], held.json()


def schedule(person_id: str, version: int, *, last: Period | None) -> EntitlementChanged:
    months = EntitledMonths.model_validate(
        {
            "from": Period(2026, 3),
            "to": last,
            "amount_fen": 10000,
            "area": "530102",
            "level": 1,
            "policy_version": "test",
            "cause": "application.approved",
        }
    )
    return EntitlementChanged(
        person_id=person_id, version=version, subsidy="living", schedule=(months,), cause="test", area="530102"
    )
