"""What partner systems rely on: bulk, rate limits, webhooks, and the national system, on a real database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

from libs.common.clock import business_today
from services.intake.national import HttpNationalArchive
from services.intake.workers import WEBHOOK_PAUSES_S, NationalUploads, PartnerWebhooks
from tests.conftest import Databases, Issuer
from tests.integration.intake import Office, open_intake, open_office
from tests.integration.test_intake_archives import PDF, add


async def bulk(office: Office, lines: list[bytes], **headers: str) -> httpx.Response:
    headers |= office.token("partner") | {"content-type": "application/x-ndjson"}
    return await office.running.http.post("/v1/applications/bulk", content=b"\n".join(lines), headers=headers)


def line(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


async def test_one_bad_line_loses_nothing(office: Office) -> None:
    good = [office.declaration() for _ in range(120)]
    wrong_id = office.declaration()
    wrong_id["applicant"] |= {"id_number": "530102199001011234"}
    lines = [
        line(good[0]),
        b'{"applicant": ',
        line(wrong_id),
        b"",
        line(good[0]),
        line(office.declaration(area="530302")),
        b"[" * 100_000,
        line({}),
        *[line(body) for body in good[1:]],
    ]
    answer = await bulk(office, lines)
    assert answer.status_code == 200, answer.text
    results = {result["line"]: result for result in answer.json()["results"]}
    assert [results[n]["status"] for n in (1, 2, 3, 6, 7, 8)] == [201, 400, 422, 403, 400, 422]
    assert 4 not in results, "an empty line is none"
    assert "applicant.id_number" in [error["path"] for error in results[3]["errors"]]
    assert {error["path"] for error in results[8]["errors"]} >= {"applicant", "channel"}
    assert (results[5]["status"], results[5]["application_id"]) == (409, results[1]["application_id"])
    assert (answer.json()["accepted"], answer.json()["refused"]) == (120, 6)
    listed = await office.rows(f"SELECT count(*) AS n FROM applications WHERE area LIKE '{office.area}%'")
    assert listed[0]["n"] == 120


async def test_of_one_person_written_in_several_ways_the_first_line_counts(office: Office) -> None:
    """Lines lie in several parts that are worked on side by side: a person's are in one, however the ID is written."""
    several = [office.declaration() for _ in range(8)]
    written: list[bytes] = []
    for body in several:
        number = body["applicant"]["id_number"]
        wide = "".join(chr(ord(character) + 0xFEE0) for character in number)
        for way in (f"{number[:6]} {number[6:14]} {number[14:]}", number.lower(), wide, number):
            written.append(line(body | {"applicant": body["applicant"] | {"id_number": way}}))
    results = (await bulk(office, written)).json()["results"]
    assert len(results) == len(written)
    for first, *others in (results[start : start + 4] for start in range(0, len(results), 4)):
        assert first["status"] == 201
        assert [(other["status"], other["application_id"]) for other in others] == [(409, first["application_id"])] * 3


async def test_a_bulk_sent_again_files_nothing_twice(office: Office) -> None:
    lines = [line(office.declaration()) for _ in range(3)]
    first = await bulk(office, lines, **{"idempotency-key": f"bulk {office.area}"})
    again = await bulk(office, lines, **{"idempotency-key": f"bulk {office.area}"})
    assert again.json() == first.json()
    other = await bulk(office, lines[:1], **{"idempotency-key": f"bulk {office.area}"})
    assert other.status_code == 409
    without = (await bulk(office, lines)).json()
    assert [result["status"] for result in without["results"]] == [409, 409, 409]
    ids = [[result["application_id"] for result in answer["results"]] for answer in (first.json(), without)]
    assert ids[0] == ids[1]
    assert (await bulk(office, [])).status_code == 422
    assert (await bulk(office, [b"{}"] * 10_001)).status_code == 422
    assert (await office.running.http.post("/v1/applications/bulk", content=b"{}")).status_code == 401


async def test_a_partner_that_asks_too_often_is_told_when_to_come_again(databases: Databases, issuer: Issuer) -> None:
    async with (
        open_intake(databases, issuer, partner_requests_per_minute=5) as started,
        open_office(started, issuer) as office,
    ):
        answers = [await office.get("/applications", "partner") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 12
        assert answers[-1].json()["type"].endswith("too-many-requests")
        assert (await office.get("/applications", "partner", sub="another")).status_code == 200
        assert all([(await office.get("/applications")).status_code == 200 for _ in range(6)]), "officials are people"


class Receiver:
    """A partner's system: takes webhooks, verifies them, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.secret = ""
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.failures = 0
        self.app = FastAPI()
        self.app.post("/hook")(self._take)

    async def _take(self, request: Request) -> Response:
        if self.failures:
            self.failures -= 1
            return Response(status_code=500)
        body = await request.body()
        Webhook(self.secret).verify(body, dict(request.headers))
        self.taken.append((request.headers["webhook-id"], json.loads(body)))
        return Response(status_code=204)


@pytest.fixture
async def receiver(office: Office) -> AsyncIterator[tuple[Receiver, PartnerWebhooks]]:
    receiver, state = Receiver(), office.running.app.state
    registered = await office.put("/webhooks", "partner", {"url": "http://partner.test/hook"})
    assert registered.status_code == 200, registered.text
    receiver.secret = registered.json()["secret"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=receiver.app)) as client:
        yield receiver, PartnerWebhooks(state.database, state.vault, client)
    await office.running.http.delete("/v1/webhooks", headers=office.token("partner"))


async def due_now(office: Office) -> None:
    sub = f"partner-{office.area}"
    await office.rows(f"UPDATE webhook_deliveries SET due_at = now() WHERE sub = '{sub}' RETURNING 1")


async def test_each_status_is_told_signed(office: Office, receiver: tuple[Receiver, PartnerWebhooks]) -> None:
    partner, worker = receiver
    application_id = (await office.submit())["application_id"]
    await office.approve_by_three(application_id)
    await office.assess(application_id, "living")
    while await worker.deliver_due():
        pass
    told = sorted((message["data"] for _, message in partner.taken), key=lambda data: data["version"])
    assert [(data["status"], data["stage"]) for data in told] == [
        ("in_review", "cdpf"),
        ("in_review", "civil_affairs"),
        ("in_review", None),
        ("approved", None),
    ]
    assert told[-1]["granted"] == ["living"]
    assert {message["type"] for _, message in partner.taken} == {"application.status_changed"}
    assert not await worker.deliver_due()
    assert len(partner.taken) == 4
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(
            b"{}", {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        )
    kept = str(await office.rows("SELECT sealed_secret FROM webhooks"))
    assert partner.secret not in kept


async def test_what_is_not_taken_is_tried_again_then_dead_and_can_be_replayed(
    office: Office, receiver: tuple[Receiver, PartnerWebhooks]
) -> None:
    partner, worker = receiver
    application_id = (await office.submit())["application_id"]
    await office.post(f"/applications/{application_id}/withdrawal", "partner")
    partner.failures = len(WEBHOOK_PAUSES_S) + 1
    for attempt in range(1, len(WEBHOOK_PAUSES_S) + 2):
        await worker.deliver_due()
        await worker.deliver_due()  # it is not due again yet
        delivery = (await office.get("/webhooks/deliveries", "partner")).json()["items"][0]
        assert (delivery["attempts"], delivery["problem"]) == (attempt, "answered 500")
        await due_now(office)
    assert delivery["dead_at"] is not None
    await worker.deliver_due()
    assert not partner.taken, "dead is dead"

    path = f"/webhooks/deliveries/{delivery['delivery_id']}/replay"
    assert (await office.post(path, "partner", sub="another")).status_code == 404
    assert (await office.post(path, "partner")).status_code == 202
    await worker.deliver_due()
    assert [message["data"]["status"] for _, message in partner.taken] == ["withdrawn"]
    delivered = await office.get("/webhooks/deliveries?state=delivered", "partner")
    assert len(delivered.json()["items"]) == 1
    assert (await office.get("/webhooks/deliveries?state=dead", "partner")).json()["items"] == []


async def test_a_partner_is_told_of_its_own_applications_only(
    office: Office, receiver: tuple[Receiver, PartnerWebhooks]
) -> None:
    partner, worker = receiver
    other = await office.post("/applications", "partner", office.declaration(), "another")
    await office.post(f"/applications/{other.json()['application_id']}/withdrawal", "partner", None, "another")
    await worker.deliver_due()
    assert not partner.taken
    assert (await office.get("/webhooks", "partner")).json()["url"] == "http://partner.test/hook"
    assert (await office.get("/webhooks", "partner", sub="another")).status_code == 404
    assert (await office.put("/webhooks", "township", {"url": "http://a.test"})).status_code == 403


@pytest.mark.parametrize("url", ["ftp://a.test/", "a.test", "http://", "http://me:secret@a.test/", "http://[1/", ""])
async def test_a_webhook_needs_an_address(office: Office, url: str) -> None:
    answer = await office.put("/webhooks", "partner", {"url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "url"


async def test_away_from_the_own_machine_a_webhook_leads_out_over_tls(databases: Databases, issuer: Issuer) -> None:
    async with (
        open_intake(databases, issuer, host="0.0.0.0") as started,
        open_office(started, issuer) as office,
    ):
        for url in (
            "http://partner.example/",
            "https://10.0.0.7/",
            "https://localhost/",
            "https://[::1]/",
            "https://db/",
        ):
            assert (await office.put("/webhooks", "partner", {"url": url})).status_code == 422, url
        assert (await office.put("/webhooks", "partner", {"url": "https://partner.example/"})).status_code == 200


class NationalSystem:
    """The national system's intake, simulated: gives a receipt for each document, the same for the same."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.put("/documents/{document_id}")(self._take)
        self.status = 201
        self.taken: dict[str, bytes] = {}

    async def _take(self, document_id: str, request: Request) -> Response:
        if self.status != 201:
            return Response(status_code=self.status)
        body = await request.body()
        assert request.headers["x-sha256"] == hashlib.sha256(body).hexdigest()
        self.taken[document_id] = body
        return Response(json.dumps({"receipt_no": f"R-{document_id[-6:]}"}), 201, media_type="application/json")


async def test_documents_are_uploaded_until_the_national_system_gives_its_receipt(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    document_id = (await add(office, application_id, PDF)).json()["document_id"]
    national, state = NationalSystem(), office.running.app.state

    async def shown() -> tuple[str, str | None]:
        item = (await office.get(f"/applications/{application_id}/archive")).json()["items"][0]
        return item["national_state"], item["national_receipt"]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=national.app)) as client:
        worker = NationalUploads(
            state.database, state.stores, state.vault, HttpNationalArchive("http://national.test", client)
        )
        national.status = 503
        while await worker.upload_due():
            pass
        assert await shown() == ("pending", None)
        national.status = 201
        await office.rows("UPDATE national_uploads SET due_at = now() WHERE state = 'pending' RETURNING 1")
        while await worker.upload_due():
            pass
        assert await shown() == ("received", f"R-{document_id[-6:]}")
        assert national.taken[document_id] == PDF

        refused = (await add(office, application_id, PDF + b"x", "photo")).json()["document_id"]
        national.status = 422
        while await worker.upload_due():
            pass
        state_of = await office.rows(f"SELECT state, problem FROM national_uploads WHERE document_id = '{refused}'")
        assert state_of == [{"state": "refused", "problem": "answered 422"}]


async def test_channels_are_counted_with_their_returns(office: Office) -> None:
    for channel in ("online", "online", "online", "counter"):
        application_id = (await office.submit(channel=channel))["application_id"]
    await office.approve_by_three(application_id)
    await office.assess(application_id, "living")
    returned = (await office.submit(channel="online"))["application_id"]
    await office.review(returned, "township", "return", reason="缺少承诺书")
    period = business_today().strftime("%Y-%m")
    answer = await office.get(f"/channel-statistics?area={office.area}&period={period}")
    assert answer.status_code == 200, answer.text
    channels = {item["channel"]: item for item in answer.json()["channels"]}
    assert answer.json()["submitted"] == 5
    assert (channels["online"]["share"], channels["online"]["effective"]) == (0.8, 0.0)
    assert (channels["counter"]["share"], channels["counter"]["effective"]) == (0.2, 1.0)
    assert channels["online"]["return_reasons"] == [{"reason": "缺少承诺书", "times": 1}]
    assert (channels["online"]["returned"], channels["one_thing"]["effective"]) == (1, None)
    assert (await office.get("/channel-statistics?area=530302&period=2026-01")).status_code == 403
    assert (await office.get(f"/channel-statistics?area={office.area}&period=x")).status_code == 422
