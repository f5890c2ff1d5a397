"""Notification on a real database: events in, messages out, a provider that fails in every way it can."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from libs.common.clock import business_today, utc_now
from libs.common.database import new_id
from libs.common.events.disbursement import OverpaidMonth, PaymentFailed, RecoveryOpened
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.events.envelope import Envelope, EventData
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationFacts,
    ApplicationReviewed,
    ContactChanged,
    ObjectionAnswered,
)
from libs.common.events.matching import ReminderRequested
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.projection import Received
from libs.common.vocabulary import Subsidy
from services.notification.main import build
from services.notification.sending import NO_PROVIDER, Sending
from services.notification.sms import HttpSmsProvider
from tests.conftest import Databases, Issuer, Running, running

PERSON = "p1-0123456789abcdef0123456789abcdef"
PHONE = "13800001234"
AREA = "530102001"
THIS_MONTH = Period.of(business_today())


@dataclass
class SimulatedProvider:
    """The outside party, over HTTP: keeps what it was sent by message id, and fails as it is told."""

    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    requests: int = 0
    loses_answers: int = 0
    refuses: bool = False
    outcome: str = "delivered"

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/messages")
        async def accept(request: Request) -> JSONResponse:
            self.requests += 1
            body = await request.json()
            assert request.headers["Idempotency-Key"] == body["message_id"]
            if self.refuses:
                return JSONResponse({"title": "not a phone number"}, 422)
            self.texts.setdefault(body["message_id"], (body["phone"], body["text"]))
            if self.loses_answers:
                self.loses_answers -= 1
                return JSONResponse({}, 504)
            return JSONResponse({"status": "accepted"}, 202)

        @app.get("/messages/{message_id}")
        async def tell(message_id: str) -> dict[str, str]:
            return {"status": self.outcome, "reason": "number not in service"}

        return app


@dataclass
class Notification:
    """The service under test with its provider, driven step by step."""

    app: Running
    provider: SimulatedProvider
    sealer: Sealer
    sending: Sending

    async def receive(self, *events: tuple[EventData, UUID]) -> None:
        """One poll batch."""
        await self.apply([received(data, event_id) for data, event_id in events])

    async def apply(self, batch: Sequence[Received]) -> None:
        async with self.app.app.state.database.transaction() as tx:
            await self.app.app.state.projection.apply(tx, batch)

    async def send_all(self) -> None:
        """Until nothing more is to be done, without waiting for the times between tries."""
        for _ in range(8):
            await self.sql("UPDATE messages SET next_try_at = now() - interval '1 s' WHERE next_try_at IS NOT NULL")
            await self.sending.step()

    async def sql(self, statement: str) -> list[dict[str, Any]]:
        async with self.app.app.state.database.transaction() as tx:
            found = await tx.connection.execute(text(statement))
            return [dict(row) for row in found.mappings()] if found.returns_rows else []

    async def messages(self) -> list[dict[str, Any]]:
        return await self.sql("SELECT * FROM messages ORDER BY kind, cause")

    async def published(self, event_type: str) -> list[dict[str, Any]]:
        return await self.sql(f"SELECT aggregate, body FROM outbox WHERE type = '{event_type}'")

    def contact(self, version: int = 1, phone: str | None = PHONE) -> tuple[EventData, UUID]:
        event_id = new_id()
        sealed = self.sealer.seal(phone, event_id, "phone") if phone else None
        name = self.sealer.seal("测试", event_id, "name")
        return ContactChanged(person_id=PERSON, version=version, area=AREA, name=name, phone=sealed), event_id


def received(data: EventData, event_id: UUID) -> Received:
    envelope = Envelope(
        id=event_id,
        source=f"/liangbu/{data.producer}",
        type=data.type,
        subject=data.key,
        time=utc_now(),
        data=data.model_dump(mode="json", by_alias=True),
    )
    return Received(envelope, data)


def approval(subsidies: tuple[Subsidy, ...] = ("care",)) -> tuple[EventData, UUID]:
    return (
        ApplicationApproved(
            person_id=PERSON,
            version=5,
            application_id=new_id(),
            area=AREA,
            channel="online",
            subsidies=subsidies,
            applied_on=date(2026, 3, 2),
            status="approved",
            stage=None,
            facts=ApplicationFacts(residence_area=AREA),
            decided_on=date(2026, 3, 16),
            granted=("care",),
        ),
        new_id(),
    )


def entitlement(
    version: int,
    to: Period | None,
    *,
    amount_fen: int = 11_000,
    because: str | None = None,
    cause: str = "application.approved",
) -> tuple[EventData, UUID]:
    months = EntitledMonths(
        **{"from": THIS_MONTH.plus(-9)},
        to=to,
        amount_fen=amount_fen,
        area=AREA,
        level=1,
        policy_version="v",
        cause="application.approved",
    )
    return (
        EntitlementChanged(
            person_id=PERSON,
            version=version,
            subsidy="care",
            schedule=(months,),
            cause=cause,
            stopped_because=because,
            area=AREA,
        ),
        new_id(),
    )


def in_words(month: Period) -> str:
    return f"{month.year}年{month.month}月"


@asynccontextmanager
async def notification(databases: Databases, make_settings: Any) -> AsyncIterator[Notification]:
    settings = make_settings(await databases.fresh("notification"))
    provider = SimulatedProvider()
    sealer = Sealer.parse(settings.sealing_keys)
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(provider.app())) as http,
        running(build(settings), settings) as app,
    ):
        client = HttpSmsProvider(http, "http://sms.test", "key")
        yield Notification(app, provider, sealer, Sending(app.app.state.database, sealer, client, at_any_hour=True))


@pytest.fixture
async def service(databases: Databases, make_settings: Any) -> AsyncIterator[Notification]:
    async with notification(databases, make_settings) as made:
        yield made


async def test_an_approval_becomes_one_delivered_text_to_the_persons_phone(service: Notification) -> None:
    await service.receive(approval(), service.contact())
    await service.send_all()
    [message] = await service.messages()
    assert (message["kind"], message["status"]) == ("application_approved", "delivered")
    [(phone, said)] = service.provider.texts.values()
    assert phone == PHONE
    assert "重度残疾人护理补贴" in said


async def test_of_two_subsidies_the_one_that_was_not_granted_is_told_too(service: Notification) -> None:
    await service.receive(approval(("living", "care")), service.contact())
    granted, refused = await service.messages()
    assert (granted["kind"], refused["kind"]) == ("application_approved", "application_rejected")
    assert "困难残疾人生活补贴申请未获批准" in refused["text"]
    assert "行政复议" in refused["text"]
    assert "困难残疾人生活补贴" not in granted["text"], "only what was granted"


async def test_what_is_sent_back_says_until_when_to_complete_it_and_other_opinions_say_nothing(
    service: Notification,
) -> None:
    application_id = new_id()

    def opinion(version: int, outcome: Any, complete_by: date | None = None) -> tuple[EventData, UUID]:
        data = ApplicationReviewed(
            person_id=PERSON, version=version, application_id=application_id, area=AREA, channel="online",
            subsidies=("care",), applied_on=date(2026, 3, 2), status="returned" if complete_by else "in_review",
            stage="township", facts=ApplicationFacts(residence_area=AREA), outcome=outcome,
            reviewed_on=date(2026, 3, 16), complete_by=complete_by,
        )  # fmt: skip
        return data, new_id()

    sent_back = opinion(2, "return", date(2026, 4, 14))
    await service.receive(service.contact(), sent_back, opinion(3, "complete"), opinion(4, "approve"), sent_back)
    await service.send_all()
    [(_, said)] = service.provider.texts.values()
    assert "2026年4月14日前补齐" in said
    [message] = await service.messages()
    assert (message["kind"], message["status"]) == ("application_returned", "delivered")


@pytest.mark.parametrize(
    ("outcome", "handle_by", "words"),
    [
        ("upheld", None, "意见成立，申请将重新审核"),
        ("upheld", date(2026, 4, 3), "意见成立，户籍地县级民政部门将在2026年4月3日前重新核定"),
        ("dismissed", None, "维持原决定"),
    ],
)
async def test_an_objection_is_answered_to_the_person(
    service: Notification, outcome: Any, handle_by: date | None, words: str
) -> None:
    answered = ObjectionAnswered(
        person_id=PERSON, version=1, objection_id=new_id(), area=AREA, outcome=outcome, filed_on=date(2026, 3, 16),
        answered_on=date(2026, 3, 20), handle_by=handle_by,
    )  # fmt: skip
    await service.receive(service.contact(), (answered, new_id()))
    await service.send_all()
    [(_, said)] = service.provider.texts.values()
    assert "您于2026年3月16日提出的复核申请已办结" in said
    assert words in said
    assert ("行政复议" in said) == (outcome == "dismissed"), "and what is left to do against it"


async def test_events_delivered_twice_and_shuffled_make_the_same_messages(
    service: Notification, databases: Databases, make_settings: Any
) -> None:
    events = [
        service.contact(1),
        service.contact(2, "13900005678"),
        approval(),
        entitlement(1, None),
        entitlement(2, THIS_MONTH, cause="certificate.expired"),
    ]
    await service.receive(*events)
    await service.send_all()
    expected = {(message["kind"], message["cause"]) for message in await service.messages()}
    assert {kind for kind, _ in expected} == {"application_approved", "contact_changed", "entitlement_stopped"}
    await service.receive(*events, *events)
    again = [received(*event) for event in events * 2]
    for seed in range(5):
        random.Random(seed).shuffle(again)
        async with notification(databases, make_settings) as other:
            for item in again:
                await other.apply([item])
            told = {(message["kind"], message["cause"]) for message in await other.messages()}
            contacts = await other.sql("SELECT version FROM contacts")
            schedules = await other.sql("SELECT version, told_amount_fen FROM schedules")
        # That a phone was replaced is seen by whoever sees the older one first; the rest is the same in any order.
        assert told | {item for item in expected if item[0] == "contact_changed"} == expected
        assert contacts == [{"version": 2}]
        assert schedules == [{"version": 2, "told_amount_fen": None}]
    await service.send_all()
    assert len(service.provider.texts) == len(expected)


async def test_a_stop_is_told_with_month_and_reason_and_a_repeat_of_the_state_is_not(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    assert await service.messages() == [], "the first grant is told by the approval"
    await service.receive(entitlement(2, THIS_MONTH, cause="certificate.expired"))
    await service.receive(entitlement(2, THIS_MONTH, cause="certificate.expired"))
    await service.receive(entitlement(3, THIS_MONTH, because="certificate_current"))
    [message] = await service.messages()
    assert message["kind"] == "entitlement_stopped"
    assert f"自{in_words(THIS_MONTH.next)}起停发（原每月110.00元）" in message["text"]
    assert "残疾人证已过期" in message["text"]


async def test_an_older_schedule_that_comes_late_changes_nothing(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive(entitlement(3, None, amount_fen=12_000))
    await service.receive(entitlement(2, THIS_MONTH))
    assert [message["kind"] for message in await service.messages()] == ["entitlement_changed"]


async def test_an_expiry_known_ahead_is_told_by_the_daily_run_of_its_month_once(
    service: Notification, issuer: Issuer
) -> None:
    last = THIS_MONTH.plus(5)
    await service.receive(service.contact(), entitlement(1, last))
    days = [(last.first_day - timedelta(days=1), 0), (last.first_day, 1), (last.first_day, 1), (last.next.first_day, 1)]
    for as_of, messages in days:
        answer = await service.app.http.post(
            "/v1/daily-runs", json={"as_of": str(as_of)}, headers=issuer.bearer("admin", "53")
        )
        assert answer.status_code == 201, answer.text
        assert len(await service.messages()) == messages, as_of
    [message] = await service.messages()
    assert f"自{in_words(last.next)}起停发" in message["text"]


async def test_without_a_phone_a_letter_is_due_and_its_delivery_is_recorded_once(
    service: Notification, issuer: Issuer
) -> None:
    outreach_id = new_id()
    await service.receive((ReminderRequested(person_id=PERSON, outreach_id=outreach_id, area=AREA), new_id()))
    await service.send_all()
    [message] = await service.messages()
    assert (message["status"], message["medium"], message["reason"]) == ("letter_due", "letter", "no phone")
    path = f"/v1/messages/{message['message_id']}/delivery"
    today = str(business_today())
    township = issuer.bearer("township", AREA)
    assert (await service.app.http.post(path, json={"delivered_on": "2020-01-01"}, headers=township)).status_code == 422
    elsewhere = issuer.bearer("township", "530103001")
    assert (await service.app.http.post(path, json={"delivered_on": today}, headers=elsewhere)).status_code == 404
    answer = await service.app.http.post(path, json={"delivered_on": today}, headers=township)
    assert answer.json()["status"] == "delivered", answer.text
    assert (await service.app.http.post(path, json={"delivered_on": today}, headers=township)).status_code == 409
    [told] = await service.published("reminder.delivered.v1")
    assert told["aggregate"] == f"reminder:{outreach_id}"
    assert '"medium":"letter"' in told["body"]


async def test_a_reminder_goes_to_the_phone_that_the_departments_know_and_is_told_to_matching(
    service: Notification,
) -> None:
    event_id, outreach_id = new_id(), new_id()
    phone = service.sealer.seal("13700009999", event_id, "phone")
    reminder = ReminderRequested(person_id=PERSON, outreach_id=outreach_id, area=AREA, phone=phone)
    await service.receive((reminder, event_id), service.contact())
    await service.send_all()
    [(used, _)] = service.provider.texts.values()
    assert used == "13700009999"
    [message] = await service.messages()
    assert message["phone"] is None, "forgotten once it is delivered"
    assert len(await service.published("reminder.delivered.v1")) == 1


async def test_answers_that_get_lost_never_send_a_text_twice(service: Notification) -> None:
    service.provider.loses_answers = 3
    await service.receive(service.contact(), approval())
    await service.send_all()
    assert service.provider.requests == 4
    assert len(service.provider.texts) == 1
    assert [message["status"] for message in await service.messages()] == ["delivered"]


async def test_two_workers_side_by_side_never_take_the_same_message(service: Notification) -> None:
    await service.receive(service.contact(), *(approval() for _ in range(30)))
    await asyncio.gather(*(service.sending.step() for _ in range(4)))
    assert service.provider.requests == 30


async def test_a_refused_number_makes_a_letter_due_and_is_told(service: Notification) -> None:
    service.provider.refuses = True
    await service.receive(service.contact(), approval())
    await service.send_all()
    [message] = await service.messages()
    assert (message["status"], message["reason"]) == ("letter_due", "refused by the provider (422)")
    [told] = await service.published("message.failed.v1")
    assert PHONE not in told["body"]


async def test_a_text_that_the_network_could_not_deliver_becomes_a_letter(service: Notification) -> None:
    service.provider.outcome = "failed"
    await service.receive(service.contact(), approval())
    await service.send_all()
    assert [message["reason"] for message in await service.messages()] == ["number not in service"]


async def test_without_a_provider_messages_stay_queued_and_say_why(service: Notification) -> None:
    await service.receive(service.contact(), approval())
    database = service.app.app.state.database
    await Sending(database, service.sealer, None).step()
    [message] = await service.messages()
    assert (message["status"], message["reason"]) == ("queued", NO_PROVIDER)


async def test_nothing_is_sent_to_the_phone_of_a_person_who_died(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive(entitlement(2, THIS_MONTH, because="alive", cause="person.died"))
    recovery = RecoveryOpened(
        person_id=PERSON,
        version=1,
        recovery_id=new_id(),
        subsidy="care",
        area=AREA,
        cause="person.died",
        months=(OverpaidMonth(period=Period(2026, 4), amount_fen=11_000),),
        amount_fen=11_000,
        status="open",
    )
    await service.receive((recovery, new_id()))
    await service.send_all()
    assert service.provider.requests == 0
    kinds = {(message["kind"], message["status"]) for message in await service.messages()}
    assert kinds == {("entitlement_ended", "letter_due"), ("recovery_after_death", "letter_due")}


async def test_a_new_phone_is_told_to_the_old_one(service: Notification) -> None:
    await service.receive(service.contact(1))
    await service.receive(service.contact(2, "13900005678"))
    await service.send_all()
    [(phone, said)] = service.provider.texts.values()
    assert phone == PHONE
    assert "已变更" in said


async def test_a_failed_payment_says_what_to_do(service: Notification) -> None:
    failed = PaymentFailed(
        person_id=PERSON,
        version=2,
        payment_id=new_id(),
        subsidy="care",
        period=Period(2026, 3),
        amount_fen=11_000,
        area=AREA,
        status="failed",
        on=date(2026, 3, 16),
        code="not_activated",
    )
    await service.receive((failed, new_id()))
    [message] = await service.messages()
    assert "2026年3月的重度残疾人护理补贴110.00元未能到账" in message["text"]
    assert "请到银行激活" in message["text"]


async def test_messages_are_listed_by_person_kind_and_status_within_ones_area(
    service: Notification, issuer: Issuer
) -> None:
    await service.receive(service.contact(), *(approval() for _ in range(3)))
    http, county = service.app.http, issuer.bearer("civil_affairs", "530102")
    first = (await http.get("/v1/messages", params={"limit": 2}, headers=county)).json()
    rest = (await http.get("/v1/messages", params={"cursor": first["next_cursor"]}, headers=county)).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    assert "phone" not in first["items"][0]
    for params, count in [
        ({"person_id": PERSON, "kind": "application_approved", "status": "queued"}, 3),
        ({"kind": "reminder"}, 0),
        ({"status": "delivered"}, 0),
    ]:
        assert len((await http.get("/v1/messages", params=params, headers=county)).json()["items"]) == count
    elsewhere = issuer.bearer("civil_affairs", "530103")
    assert (await http.get("/v1/messages", headers=elsewhere)).json()["items"] == []
    assert (await http.get("/v1/messages", params={"area": "530102"}, headers=elsewhere)).status_code == 403
    story = f"/v1/persons/{PERSON}/timeline"
    assert (await http.get(story, headers=county)).json()["items"][0]["status"] == "queued"
    assert (await http.get(story, headers=elsewhere)).status_code == 404


async def test_an_area_writes_its_own_text_and_messages_made_before_keep_theirs(
    service: Notification, issuer: Issuer
) -> None:
    http, county = service.app.http, issuer.bearer("civil_affairs", "530102")
    await service.receive(service.contact(), approval())
    for expected in (1, 1):  # the same text again is the same version
        answer = await http.put(
            "/v1/templates/application_approved",
            json={"area": "530102", "text": "五华区民政局：{subsidies}已批准。"},
            headers=county,
        )
        assert answer.json()["version"] == expected, answer.text
    await service.receive(approval())
    shown = (await http.get("/v1/templates/application_approved", headers=county)).json()
    assert (shown["area"], shown["version"], len(shown["versions"])) == ("530102", 1, 1)
    assert sorted(message["template_version"] for message in await service.messages()) == [0, 1]
    for body, status in [
        ({"area": "53", "text": "x"}, 403),
        ({"area": "530102", "text": "{name}"}, 422),
    ]:
        answer = await http.put("/v1/templates/application_approved", json=body, headers=county)
        assert answer.status_code == status
    answer = await http.put(
        "/v1/templates/reminder", json={"area": "530102", "text": "x"}, headers=issuer.bearer("admin", "53")
    )
    assert answer.status_code == 403


async def test_what_waited_too_long_becomes_a_letter_and_the_books_hold(service: Notification, issuer: Issuer) -> None:
    await service.receive(service.contact(), approval())
    await service.sql("UPDATE messages SET created_at = created_at - interval '9 days'")
    today = (await service.sql("SELECT CURRENT_DATE AS day"))[0]["day"]
    admin = issuer.bearer("admin", "53")
    await service.app.http.post("/v1/daily-runs", json={"as_of": str(today)}, headers=admin)
    assert [message["status"] for message in await service.messages()] == ["letter_due"]
    checked = (await service.app.http.get("/v1/invariants", headers=admin)).json()
    assert checked["holds"], checked
