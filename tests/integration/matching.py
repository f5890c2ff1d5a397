"""Matching as its callers see it, and the people and files that tests send it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from libs.common.clock import utc_now
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged, PolicyChanged, PolicyValue
from libs.common.events.envelope import Envelope, EventData
from libs.common.identity import check_character
from libs.common.period import Period
from libs.common.projection import Received
from tests.conftest import Issuer, Running

COUNTY = "530102"
TOWNSHIP = "530102001"


@dataclass
class Matching:
    """The service as its callers see it, and what it tells others."""

    running: Running
    issuer: Issuer
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id_number(self) -> str:
        number = next(self.ids)
        first_17 = f"53010219{60 + number % 40}0101{number % 1000:03d}"
        return first_17 + check_character(first_17)

    async def call(
        self, method: str, path: str, role: Any = "civil_affairs", *, area: str = COUNTY, sub: str | None = None,
        sources: tuple[str, ...] = ("*",), **options: Any,
    ) -> httpx.Response:  # fmt: skip
        headers = self.issuer.bearer(role, area, sub, sources=sources)
        return await self.running.http.request(method, path, headers=headers, **options)

    async def push(self, kind: str, id_number: str, occurred_on: str | None = None, **more: Any) -> httpx.Response:
        by = {name: more.pop(name) for name in ("role", "area", "sub", "sources") if name in more}
        by = {"role": "partner", **by}
        body = {"kind": kind, "id_number": id_number, **({"occurred_on": occurred_on} if occurred_on else {}), **more}
        return await self.call("POST", "/v1/events", json=body, **by)

    async def upload(
        self, source: str, content: bytes | str, *, as_of: str = "2026-04-30", role: Any = "civil_affairs",
        area: str = COUNTY, mode: str = "delta", sources: tuple[str, ...] = ("*",),
    ) -> httpx.Response:  # fmt: skip
        return await self.call(
            "POST", f"/v1/feeds/{source}", role, sources=sources,
            params={"area": area, "as_of": as_of, "mode": mode}, content=content,
        )  # fmt: skip

    async def compare(self, as_of: str = "2026-04-30", area: str = COUNTY, level: str = "county") -> dict[str, Any]:
        body = {"level": level, "area": area, "as_of": as_of}
        answer = await self.call("POST", "/v1/comparisons", json=body, area=area)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def findings(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.call("GET", "/v1/findings", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def verify(self, finding_id: str, outcome: str, **more: Any) -> httpx.Response:
        role, area = more.pop("role", "township"), more.pop("area", TOWNSHIP)
        body = {"method": "visit", "outcome": outcome, "note": "入户走访", **more}
        return await self.call("POST", f"/v1/findings/{finding_id}/verification", role, area=area, json=body)

    async def told(self, person_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        """The events published about a person, oldest first: their data, and their `type` without its version."""
        async with self.running.app.state.database.transaction() as tx:
            rows = await tx.connection.execute(
                text("SELECT type, body FROM outbox WHERE key = :key ORDER BY seq"), {"key": person_id}
            )
            told = [{"type": row.type.removesuffix(".v1"), **json.loads(row.body)["data"]} for row in rows]
        return [event for event in told if kind in (None, event["type"])]

    async def hear(self, *events: EventData, event_id: UUID | None = None) -> None:
        received = [
            Received(
                Envelope(id=event_id or uuid4(), source=f"/liangbu/{data.producer}", type=data.type, subject=data.key,
                         time=utc_now(), data={}),
                data,
            )
            for data in events
        ]  # fmt: skip
        async with self.running.app.state.database.transaction() as tx:
            await self.running.app.state.projection.apply(tx, received)

    async def recipient(self, *, area: str = TOWNSHIP, subsidy: str = "living", to: Period | None = None) -> Recipient:
        """Somebody who receives a subsidy since January 2025."""
        id_number = self.new_id_number()
        person_id = self.running.app.state.parts.keys.person.person_id(id_number)
        await self.hear(entitled(person_id, area=area, subsidy=subsidy, to=to))
        return Recipient(id_number, person_id)


@dataclass(frozen=True)
class Recipient:
    id_number: str
    person_id: str


def entitled(person_id: str, *, area: str = TOWNSHIP, subsidy: Any = "living", to: Period | None = None,
             version: int = 1) -> EntitlementChanged:  # fmt: skip
    """As eligibility tells it: the county pays, and the person lives in `area`."""
    months = EntitledMonths(
        from_=Period(2025, 1), to=to, amount_fen=10000, area=area[:6], level=2, policy_version="1", cause="approved"
    )
    return EntitlementChanged(
        person_id=person_id, version=version, subsidy=subsidy, schedule=(months,), cause="application.approved",
        stopped_because=None, area=area,
    )  # fmt: skip


def care_excluding(area: str, kinds: list[str]) -> PolicyChanged:
    """The policy of an area, under which no other benefits of care's class exclude it."""
    value = PolicyValue(parameter="care.same_class_benefits", since=date(2026, 1, 1), value=kinds)
    return PolicyChanged(version=1, area=area, policy_version="v", values=(value,))


async def invariants_hold(matching: Matching) -> bool:
    answer = await matching.call("GET", "/v1/invariants", "admin")
    return answer.json()["holds"]


ISSUE = {"category": "physical", "level": 2, "expires_on": "2036-03-14"}


def deaths_csv(*rows: tuple[str, str, str]) -> str:
    lines = (f"{name},{id_number},{day},{COUNTY}" for name, id_number, day in rows)
    return "name,id_number,date,area\n" + "\n".join(lines) + "\n"


CERTIFICATES = "name,id_number,certificate_number,category,level,issued_on,expires_on,status,cause,changed_on,area\n"
