"""The bank that tests and demonstrations pay through keeps its word, and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook

from deploy.local.processes import free_port
from libs.common.settings import Settings
from services.onecard_mock.main import create_app
from tests.conftest import Databases, eventually
from tests.integration.disbursement import WEBHOOK_SECRET, serving

CLIENT = httpx.BasicAuth("liangbu", "secret")


@dataclass
class Receiver:
    """The other end of the webhooks; it answers with `status`."""

    status: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        @self.app.post("/webhooks")
        async def receive(request: Request) -> Response:
            self.received.append(Webhook(WEBHOOK_SECRET).verify(await request.body(), dict(request.headers)))
            self.ids.append(request.headers["webhook-id"])
            return Response(status_code=self.status)

    def of(self, payment_id: str) -> list[str]:
        return [event["type"] for event in self.received if event["data"]["payment_id"] == payment_id]


@dataclass
class OneCard:
    http: httpx.AsyncClient
    receiver: Receiver
    settings: Settings

    async def hand_over(
        self, *items: dict[str, Any], batch_id: str | None = None, department: str = "民政局"
    ) -> httpx.Response:
        body = {
            "batch_id": batch_id or str(uuid4()),
            "period": "2026-03",
            "department": department,
            "project": "困难残疾人生活补贴",
            "items": list(items),
        }
        return await self.http.post("/v1/batches", json=body, auth=CLIENT)

    async def transfer(self, payment_id: str) -> dict[str, Any]:
        [found] = (await self.http.get(f"/v1/transfers?payment_id={payment_id}")).json()["items"]
        return dict(found)

    async def reaches(self, payment_id: str, status: str) -> dict[str, Any]:
        async def check() -> dict[str, Any] | None:
            found = await self.transfer(payment_id)
            return found if found["status"] == status else None

        found: dict[str, Any] = await eventually(check, within_s=5)
        return found


def item(**changes: Any) -> dict[str, Any]:
    return {
        "payment_id": str(uuid4()),
        "payee_name": "阿依·买买提",
        "account": "6217000000000001",
        "bank": "农村信用社",
        "amount_fen": 10_000,
        "period_text": "2026年3月",
        "phone": "13800001234",
        **changes,
    }


@asynccontextmanager
async def open_bank(settings: Settings, receiver: Receiver) -> AsyncIterator[OneCard]:
    async with serving(create_app(settings), free_port()) as url, httpx.AsyncClient(base_url=url, timeout=5) as http:
        yield OneCard(http, receiver, settings)


@pytest.fixture(scope="module")
async def opened(databases: Databases) -> AsyncIterator[OneCard]:
    receiver = Receiver()
    async with serving(receiver.app, port := free_port()):
        settings = Settings(
            database_url=await databases.fresh("onecard_mock"),
            onecard_client_secret="secret",
            onecard_webhook_url=f"http://127.0.0.1:{port}/webhooks",
            onecard_webhook_secrets=WEBHOOK_SECRET,
        )
        async with open_bank(settings, receiver) as bank:
            yield bank


@pytest.fixture
async def bank(opened: OneCard) -> AsyncIterator[OneCard]:
    yield opened
    await opened.http.delete("/v1/faults")
    opened.receiver.status = 200


async def test_without_faults_it_settles_within_two_seconds_and_says_so(bank: OneCard) -> None:
    wanted = item()
    assert (await bank.hand_over(wanted)).status_code == 202
    async with asyncio.timeout(2):
        settled = await bank.reaches(wanted["payment_id"], "settled")
    assert settled["bank_ref"]

    async def is_told() -> bool:
        return sorted(bank.receiver.of(wanted["payment_id"])) == ["payment.settled", "sms.sent"]

    await eventually(is_told)
    [sms] = (await bank.http.get(f"/v1/sms?payment_id={wanted['payment_id']}")).json()["items"]
    assert "100.00元" in sms["text"]
    assert sms["phone"] == wanted["phone"]


async def test_a_payment_is_made_once_however_many_batches_ask_for_it(bank: OneCard) -> None:
    wanted, batch_id = item(), str(uuid4())
    first = await bank.hand_over(wanted, batch_id=batch_id)
    same = await bank.hand_over(wanted, batch_id=batch_id)
    other = await bank.hand_over(wanted, item())
    assert [answer.status_code for answer in (first, same, other)] == [202, 202, 202]
    assert other.json() | {"batch_id": ""} == {"batch_id": "", "accepted": 1, "duplicates": [wanted["payment_id"]]}
    assert (await bank.transfer(wanted["payment_id"]))["batch_id"] == batch_id


async def test_a_department_that_transferred_money_is_paid_for_out_of_it_alone(bank: OneCard) -> None:
    given = {"department": "丽江市民政局", "amount_fen": 15_000, "document_no": "拨〔2026〕1号"}
    for _ in range(2):
        assert (await bank.http.post("/v1/appropriations", json=given)).status_code == 201
    failing, paid, more = item(account="none"), item(), item()
    assert (await bank.hand_over(failing, department="丽江市民政局")).status_code == 202
    await bank.reaches(failing["payment_id"], "failed")
    assert (await bank.hand_over(paid, department="丽江市民政局")).status_code == 202
    short = await bank.hand_over(more, department="丽江市民政局")
    assert (short.status_code, short.headers["content-type"]) == (409, "application/problem+json")
    assert (await bank.http.get(f"/v1/transfers?payment_id={more['payment_id']}")).json()["items"] == []
    await bank.reaches(paid["payment_id"], "settled")
    [account] = (await bank.http.get("/v1/accounts")).json()["items"]
    assert (account["appropriated_fen"], account["paid_fen"], account["balance_fen"]) == (15_000, 10_000, 5_000)


async def test_the_same_key_with_another_content_is_refused(bank: OneCard) -> None:
    wanted, batch_id = item(), str(uuid4())
    await bank.hand_over(wanted, batch_id=batch_id)
    assert (await bank.hand_over(wanted | {"amount_fen": 1}, batch_id=batch_id)).status_code == 409
    assert (await bank.hand_over(wanted | {"amount_fen": 1})).status_code == 409
    assert (await bank.transfer(wanted["payment_id"]))["amount_fen"] == 10_000


async def test_nobody_hands_over_batches_without_the_clients_credentials(bank: OneCard) -> None:
    assert (await bank.http.post("/v1/batches", json={})).status_code == 401
    wrong = await bank.http.post("/v1/batches", json={}, auth=httpx.BasicAuth("liangbu", "guess"))
    assert wrong.status_code == 401
    assert (await bank.http.get(f"/v1/batches/{uuid4()}/statement")).status_code == 401


async def test_the_bank_refuses_in_problem_json_as_every_service_does(bank: OneCard) -> None:
    unknown = await bank.http.get("/v1/nothing")
    unmade = await bank.http.patch("/v1/batches")
    unsigned = await bank.http.post("/v1/batches", json={})
    unread = await bank.http.post("/v1/faults", json=[1])
    refusals = (unknown, unmade, unsigned, unread)
    assert [answer.status_code for answer in refusals] == [404, 405, 401, 422]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in refusals)
    assert all({"type", "title", "status", "detail"} <= answer.json().keys() for answer in refusals)
    assert unread.json()["errors"]


@pytest.mark.parametrize("wrong", [{"amount_fen": 0}, {"amount_fen": -1}, {"payee_name": ""}, {"payment_id": ""}])
async def test_a_batch_that_makes_no_sense_is_refused(bank: OneCard, wrong: dict[str, Any]) -> None:
    assert (await bank.hand_over(item(**wrong))).status_code == 422


async def test_transfers_fail_and_return_as_told_with_their_code(bank: OneCard) -> None:
    lost, returning, odd = item(account="6217000000000011"), item(account="6217000000000012"), item(account="none")
    faults = {"fail_accounts": {"6217000000000011": "lost"}, "return_accounts": {"6217000000000012": "holder_dead"}}
    assert (await bank.http.post("/v1/faults", json=faults)).status_code == 200
    await bank.hand_over(lost, returning, odd)
    assert (await bank.reaches(lost["payment_id"], "failed"))["code"] == "lost"
    assert (await bank.reaches(odd["payment_id"], "failed"))["code"] == "not_found"
    assert (await bank.reaches(returning["payment_id"], "returned"))["code"] == "holder_dead"

    async def is_told() -> bool:
        return "payment.returned" in bank.receiver.of(returning["payment_id"])

    await eventually(is_told)
    assert (await bank.http.get(f"/v1/sms?payment_id={lost['payment_id']}")).json()["items"] == []


async def test_the_statement_tells_what_became_of_each_payment_of_a_batch(bank: OneCard) -> None:
    wanted, odd, batch_id = item(), item(account="none"), str(uuid4())
    await bank.hand_over(wanted, odd, batch_id=batch_id)
    await bank.reaches(wanted["payment_id"], "settled")
    statement = (await bank.http.get(f"/v1/batches/{batch_id}/statement", auth=CLIENT)).json()
    assert [(line["payment_id"], line["status"]) for line in statement["items"]] == [
        (wanted["payment_id"], "settled"),
        (odd["payment_id"], "failed"),
    ]
    unknown = await bank.http.get(f"/v1/batches/{uuid4()}/statement", auth=CLIENT)
    assert unknown.status_code == 404


async def test_webhooks_are_tried_again_under_the_same_id_until_they_are_taken(bank: OneCard) -> None:
    bank.receiver.status = 503
    wanted = item()
    await bank.hand_over(wanted)

    async def was_refused() -> bool:
        return bool(bank.receiver.of(wanted["payment_id"]))

    await eventually(was_refused)
    bank.receiver.status = 200

    async def was_taken() -> bool:
        return bank.receiver.of(wanted["payment_id"]).count("payment.settled") >= 2

    await eventually(was_taken)
    ids = [
        webhook_id
        for webhook_id, event in zip(bank.receiver.ids, bank.receiver.received, strict=True)
        if event["data"]["payment_id"] == wanted["payment_id"] and event["type"] == "payment.settled"
    ]
    assert len(set(ids)) == 1


async def test_dropped_webhooks_never_come_and_doubled_ones_come_twice(bank: OneCard) -> None:
    dropped, doubled = item(), item()
    await bank.http.post("/v1/faults", json={"drop_webhook_rate": 1})
    await bank.hand_over(dropped)
    await bank.reaches(dropped["payment_id"], "settled")
    await asyncio.sleep(0.3)
    await bank.http.post("/v1/faults", json={"duplicate_webhook_rate": 1})
    await bank.hand_over(doubled)

    async def came_twice() -> bool:
        return bank.receiver.of(doubled["payment_id"]).count("payment.settled") == 2

    await eventually(came_twice)
    assert bank.receiver.of(dropped["payment_id"]) == []


async def test_faults_of_the_line_answer_late_or_500_and_have_done_nothing(bank: OneCard) -> None:
    await bank.http.post("/v1/faults", json={"http_500_rate": 1, "latency_ms": 200})
    wanted = item()
    started = asyncio.get_running_loop().time()
    assert (await bank.hand_over(wanted)).status_code == 500
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert (await bank.http.get(f"/v1/transfers?payment_id={wanted['payment_id']}")).json()["items"] == []


async def test_a_batch_may_be_accepted_without_ever_being_answered(bank: OneCard) -> None:
    await bank.http.post("/v1/faults", json={"timeout_after_accept_rate": 1})
    wanted = item()
    with pytest.raises(httpx.ReadTimeout):
        await bank.http.post(
            "/v1/batches",
            json={
                "batch_id": str(uuid4()), "period": "2026-03", "department": "民政局", "project": "x", "items": [wanted]
            },
            auth=CLIENT,
            timeout=0.5,
        )  # fmt: skip
    await bank.reaches(wanted["payment_id"], "settled")


async def test_an_unknown_fault_is_refused(bank: OneCard) -> None:
    assert (await bank.http.post("/v1/faults", json={"explode": True})).status_code == 422


async def test_a_bank_that_was_killed_forgets_nothing(bank: OneCard) -> None:
    """Another process on the same books settles what the first accepted, and knows every payment."""
    wanted = item()
    async with open_bank(bank.settings, bank.receiver) as second:
        await bank.hand_over(wanted)
        await second.reaches(wanted["payment_id"], "settled")
        assert (await second.hand_over(wanted)).json()["duplicates"] == [wanted["payment_id"]]
