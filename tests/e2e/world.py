"""The system as outside parties see it: REST, the bank's lists, and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from libs.common.auth import Role
from libs.common.identity import check_character
from libs.common.issuer import issue_token
from libs.common.settings import PORT_OFFSETS

AREA = "530102"
CATEGORY_DIGITS = {"vision": 1, "hearing": 2, "speech": 3, "physical": 4, "intellectual": 5, "mental": 6, "multiple": 7}


@dataclass
class Person:
    """Somebody who may apply, with what the application says."""

    id_number: str
    name: str
    account: str
    category: str = "physical"
    level: int = 1
    area: str = AREA
    person_id: str = ""
    application_id: str = ""

    @property
    def certificate_number(self) -> str:
        return f"{self.id_number}{CATEGORY_DIGITS[self.category]}{self.level}"


@dataclass
class World:
    """A running system in `home` and its clients. Each county that a test uses is its own, so that tests share one."""

    home: Path
    base_port: int
    process: subprocess.Popen[bytes]
    _people: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _counties: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(timeout=30)
        self._private_key = json.loads((self.home / "keys.json").read_text())["jwt_private_key"]

    def url(self, service: str, path: str) -> str:
        return f"http://127.0.0.1:{self.base_port + PORT_OFFSETS[service]}{path}"

    def database_dsn(self, name: str) -> str:
        """For what REST cannot do: damaging what is kept."""
        port = json.loads((self.home / "running.json").read_text())["postgres_port"]
        return f"postgresql://postgres:{(self.home / 'postgres.password').read_text()}@127.0.0.1:{port}/{name}"

    async def liangbu(self, *arguments: str) -> tuple[int | None, str]:
        """Its exit status, and what the command line says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local.cli", *arguments),
            env={**os.environ, "LIANGBU_HOME": str(self.home), "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    def bearer(self, role: Role, area: str = AREA, sub: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(self._private_key, role=role, area=area, subject=sub)}"}

    async def call(
        self, method: str, service: str, path: str, role: Role, area: str = AREA, sub: str | None = None, **how: Any
    ) -> httpx.Response:
        headers = {**self.bearer(role, area, sub), **how.pop("headers", {})}
        return await self.http.request(method, self.url(service, path), headers=headers, **how)

    async def get(self, service: str, path: str, role: Role = "auditor", area: str = AREA) -> Any:
        answer = await self.call("GET", service, path, role, area)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def post(
        self, service: str, path: str, role: Role, json: Any = None, *, area: str = AREA, sub: str | None = None
    ) -> Any:
        answer = await self.call("POST", service, path, role, area, sub, json=json)
        assert answer.status_code < 300, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    # --- people ---------------------------------------------------------------------------------------------------

    def county(self) -> str:
        """A county code that no other test uses: any well-formed code is accepted."""
        return f"5399{next(self._counties):02d}"

    def person(self, area: str, category: str = "physical", level: int = 1, name: str = "") -> Person:
        number = next(self._people)
        first_17 = f"53010219{50 + number // 900:02d}0{1 + number % 9}1{number % 10}{number % 1000:03d}"
        return Person(
            id_number=first_17 + check_character(first_17),
            name=name or f"样本{number}",
            account=f"62170000{number:011d}",
            category=category,
            level=level,
            area=area,
        )

    def application(self, person: Person, applied_on: str, subsidies: list[str], **changes: Any) -> dict[str, Any]:
        return {
            "applicant": {
                "name": person.name,
                "id_number": person.id_number,
                "certificate_number": person.certificate_number,
                "phone": "13800001234",
                "hukou_area": person.area,
            },
            "subsidies": subsidies,
            "applied_on": applied_on,
            "channel": "counter",
            "account": {"holder": "own", "bank": "云南农信", "number": person.account, "status": "active"},
            "commitment": {"signed_on": applied_on, "version": "sample-1"},
            "facts": {"low_income": {"category": "dibao", "from": "2024-01-01"}},
            **changes,
        }

    async def apply(self, person: Person, applied_on: str, subsidies: list[str], **changes: Any) -> Person:
        body = self.application(person, applied_on, subsidies, **changes)
        answer = await self.post("intake", "/v1/applications", "partner", body, area=person.area)
        person.person_id, person.application_id = answer["person_id"], answer["application_id"]
        return person

    async def review(self, person: Person, stage: Role, **body: Any) -> Any:
        path = f"/v1/applications/{person.application_id}/reviews"
        return await self.post("intake", path, stage, {"stage": stage, "outcome": "approve", **body}, area=person.area)

    async def review_all(self, person: Person, *, dibao: bool = True, **certificate: Any) -> None:
        await self.review(person, "township")
        confirmed = {
            "category": person.category,
            "level": person.level,
            "issued_on": "2020-05-01",
            "expires_on": "2030-04-30",
            "status": "valid",
            **certificate,
        }
        await self.review(person, "cdpf", certificate=confirmed)
        income = {"low_income": {"category": "dibao", "from": "2024-01-01"}} if dibao else {}
        await self.review(person, "civil_affairs", **income)

    async def approved(self, person: Person) -> Any:
        """The application once it is decided."""

        async def decided() -> Any:
            answer = await self.get("intake", f"/v1/applications/{person.application_id}", area=person.area)
            return answer if answer["status"] == "approved" else None

        return await until(decided, f"approval of {person.application_id}")

    async def granted(
        self,
        area: str,
        applied_on: str = "2026-01-10",
        subsidies: tuple[str, ...] = ("living", "care"),
        *,
        category: str = "physical",
        level: int = 1,
        name: str = "",
    ) -> Person:
        """A person whose application went the whole way."""
        person = self.person(area, category, level, name)
        await self.apply(person, applied_on, list(subsidies))
        await self.review_all(person)
        await self.approved(person)
        return person

    async def corrected(self, wrong: Person) -> Person:
        """The person under the right resident ID, once two officials have agreed."""
        right = self.person(wrong.area, name=wrong.name)
        proposed = await self.call(
            "PUT", "intake", f"/v1/persons/{wrong.person_id}/id-number", "township", wrong.area,
            json={"id_number": right.id_number},
        )  # fmt: skip
        assert proposed.status_code == 202, proposed.text
        path = f"/v1/changes/{proposed.json()['change_id']}/approval"
        approved = await self.post("intake", path, "civil_affairs", area=wrong.area, sub="somebody else")
        right.person_id, right.account = approved["person_id"], wrong.account
        assert right.person_id != wrong.person_id
        return right

    async def push(self, person: Person, kind: str, occurred_on: str, role: Role = "partner", **more: Any) -> Any:
        body = {"kind": kind, "id_number": person.id_number, "occurred_on": occurred_on, **more}
        return await self.post("matching", "/v1/events", role, body, area=person.area)

    # --- entitlements and money -----------------------------------------------------------------------------------

    async def months(self, person: Person, subsidy: str) -> list[tuple[str, str | None, int]]:
        """(from, to, fen) of each stretch of the schedule."""
        path = f"/v1/persons/{person.person_id}/entitlements"
        answer = await self.call("GET", "eligibility", path, "auditor", person.area)
        if answer.status_code == 404:
            return []
        return [(item["from"], item["to"], item["amount_fen"]) for item in answer.json()[subsidy]]

    async def until_months(self, person: Person, subsidy: str, expected: list[tuple[str, str | None, int]]) -> None:
        async def same() -> Any:
            found = await self.months(person, subsidy)
            return found == expected or None

        try:
            await until(same, "schedule")
        except AssertionError:
            assert await self.months(person, subsidy) == expected

    async def heard(
        self, reader: str = "disbursement", senders: tuple[str, ...] = ("intake", "matching", "eligibility")
    ) -> None:
        """Until the reader has applied everything that any of the senders, or who is before them, accepted before this
        call."""
        moment = (await self.get(reader, "/v1/status", "admin", "53"))["now"]

        async def passed() -> Any:
            marks = (await self.get(reader, "/v1/status", "admin", "53"))["watermarks"]
            named = {mark["topic"]: mark["until"] for mark in marks}
            return all((named.get(f"liangbu.{sender}") or "") >= moment for sender in senders) or None

        await until(passed, f"the watermarks at {reader}")

    async def appropriate(self, area: str, amount_fen: int = 10_000_000, year: int = 2026) -> None:
        for subsidy in ("living", "care"):
            body = {"area": area, "subsidy": subsidy, "year": year, "amount_fen": amount_fen, "document_no": "样本1号"}
            await self.post("disbursement", "/v1/appropriations", "finance", body, area=area)

    async def draw_up(self, area: str, period: str) -> Any:
        return await self.post(
            "disbursement", "/v1/cycles", "civil_affairs", {"area": area, "period": period}, area=area
        )

    async def submit(self, area: str, cycle_id: str) -> None:
        path = f"/v1/cycles/{cycle_id}"
        await self.post("disbursement", f"{path}/concurrence", "cdpf", area=area)
        await self.post("disbursement", f"{path}/approval", "finance", area=area)
        await self.post("disbursement", f"{path}/submission", "finance", area=area)

    async def cycle_reaches(self, area: str, cycle_id: str, *statuses: str, within_s: float = 300) -> Any:
        async def reached() -> Any:
            answer = await self.get("disbursement", f"/v1/cycles/{cycle_id}", area=area)
            return answer if answer["status"] in statuses else None

        return await until(reached, f"cycle {cycle_id} to be {statuses}", within_s=within_s)

    async def pay(self, area: str, period: str) -> Any:
        """A whole cycle, from the draft to its results."""
        await self.heard()
        cycle = await self.draw_up(area, period)
        await self.submit(area, cycle["cycle_id"])
        return await self.cycle_reaches(area, cycle["cycle_id"], "settled", "closed")

    async def books(self, person: Person, subsidy: str) -> dict[str, dict[str, Any]]:
        """Per period: entitled, paid, in flight, held, owed, overpaid."""
        path = f"/v1/persons/{person.person_id}/account"
        answer = await self.call("GET", "disbursement", path, "auditor", person.area)
        if answer.status_code == 404:
            return {}
        return {item["period"]: item for item in answer.json()["items"] if item["subsidy"] == subsidy}

    async def until_books(self, person: Person, subsidy: str, period: str, **expected: int) -> None:
        async def same() -> Any:
            row = (await self.books(person, subsidy)).get(period, {})
            return {name: row.get(name) for name in expected} == expected or None

        try:
            await until(same, "books")
        except AssertionError:
            row = (await self.books(person, subsidy)).get(period, {})
            assert {name: row.get(name) for name in expected} == expected

    async def transfers(self, person: Person) -> list[dict[str, Any]]:
        """What the bank did with this person's account."""
        answer = await self.http.get(self.url("onecard_mock", "/v1/transfers"))
        return [item for item in answer.json()["items"] if item["account"] == person.account]

    async def sms(self, payment_id: str) -> list[dict[str, Any]]:
        answer = await self.http.get(self.url("onecard_mock", "/v1/sms"))
        return [item for item in answer.json()["items"] if item["payment_id"] == payment_id]

    async def invariants_hold(self) -> None:
        for service in ("intake", "eligibility", "matching", "disbursement", "notification"):
            answer = await self.get(service, "/v1/invariants", "admin", "53")
            assert answer["holds"], [item for item in answer["invariants"] if not item["holds"]]

    # --- processes ------------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        state = json.loads((self.home / "running.json").read_text())
        return int(state["services"][name]["pid"])

    def kill(self, name: str) -> None:
        """As a crash would end it; the launcher starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    async def is_back(self, name: str) -> None:
        async def ready() -> Any:
            try:
                return (await self.http.get(self.url(name, "/readyz"))).status_code == 200 or None
            except httpx.TransportError:
                return None

        await until(ready, f"{name} to be back", within_s=180)


async def until(check: Any, what: str, *, within_s: float = 180.0) -> Any:
    """The first result of `check` that is not None."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        result = await check()
        if result is not None:
            return result
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"waited {within_s} s for {what}")
        await asyncio.sleep(0.1)


def start(home: Path, base_port: int) -> subprocess.Popen[bytes]:
    """`liangbu up` in `home`."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "LIANGBU_HOME": str(home), "LIANGBU_PORT": str(base_port)}
    environment["LIANGBU_DAILY_RUN_HOUR"] = "-1"  # tests say which day it is
    with (home / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local.cli", "up"], env=environment, stdout=log, stderr=log
        )


async def until_up(home: Path, base_port: int, process: subprocess.Popen[bytes]) -> None:
    """Until everything that `start` started is ready."""

    async def is_up() -> bool | None:
        code = process.poll()
        assert code is None, f"the launcher ended with {code}:\n{(home / 'up.log').read_text()[-3000:]}"
        try:
            async with httpx.AsyncClient(timeout=2) as http:
                answers = [
                    await http.get(f"http://127.0.0.1:{base_port + offset}/readyz") for offset in PORT_OFFSETS.values()
                ]
        except httpx.TransportError:
            return None
        return all(answer.status_code == 200 for answer in answers) or None

    await until(is_up, "the system to be up", within_s=300)
