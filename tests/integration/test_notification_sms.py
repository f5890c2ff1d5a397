"""Texts on their way through the simulated SMS platform, over real HTTP, with everything that can go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from deploy.local.processes import free_port
from libs.common.clock import business_today, utc_now
from libs.common.database import new_id
from libs.common.events.envelope import EventData
from libs.common.events.intake import ContactChanged
from libs.common.privacy import Sealer
from services.notification.main import build
from services.onecard_mock.main import create_app
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import WEBHOOK_SECRET, serving
from tests.integration.test_notification import AREA, PHONE, approval, received


@dataclass
class Office:
    """Notification with its worker, and the platform beside it; each behind a socket of its own."""

    app: Any
    http: httpx.AsyncClient
    platform: httpx.AsyncClient
    sealer: Sealer

    async def receive(self, *events: tuple[EventData, UUID]) -> None:
        async with self.app.state.database.transaction() as tx:
            await self.app.state.projection.apply(tx, [received(*event) for event in events])

    async def sql(self, statement: str) -> list[dict[str, Any]]:
        async with self.app.state.database.transaction() as tx:
            found = await tx.connection.execute(text(statement))
            return [dict(row) for row in found.mappings()] if found.returns_rows else []

    async def faults(self, **faults: Any) -> None:
        assert (await self.platform.post("/sms/v1/faults", json=faults)).status_code == 200

    async def texts(self, phone: str | None = None) -> list[dict[str, Any]]:
        found = await self.platform.get("/sms/v1/texts", params={"phone": phone} if phone else {})
        return list(found.json()["items"])

    async def all_are(self, status: str, *, within_s: float = 30) -> list[dict[str, Any]]:
        """Every message, once all of them have this status; tries are not waited for."""

        async def check() -> list[dict[str, Any]] | None:
            await self.sql(
                "UPDATE messages SET next_try_at = now() WHERE status IN ('sending', 'sent')"
                " AND next_try_at BETWEEN now() + interval '1 s' AND now() + interval '30 s'"
            )
            found = await self.sql("SELECT * FROM messages ORDER BY message_id")
            return found if {message["status"] for message in found} == {status} else None

        messages: list[dict[str, Any]] = await eventually(check, within_s=within_s)
        return messages

    def person(self, number: int, phone: str | None = PHONE, name: str = "测试") -> tuple[str, tuple[EventData, UUID]]:
        person_id, event_id = f"p1-{number:032x}", new_id()
        contact = ContactChanged(
            person_id=person_id,
            version=1,
            area=AREA,
            name=self.sealer.seal(name, event_id, "name"),
            phone=self.sealer.seal(phone, event_id, "phone") if phone else None,
            phone_token=phone and f"token of {phone}",
        )
        return person_id, (contact, event_id)


def approval_of(person_id: str) -> tuple[EventData, UUID]:
    data, event_id = approval()
    return data.model_copy(update={"person_id": person_id}), event_id


@pytest.fixture
async def office(databases: Databases, make_settings: Any) -> AsyncIterator[Office]:
    ours, theirs = free_port(), free_port()
    settings = make_settings(
        await databases.fresh("notification"),
        roles="api,worker",
        sms_url=f"http://127.0.0.1:{theirs}/sms/v1",
        sms_key="key",
        sms_timeout_s=0.5,
        sms_webhook_url=f"http://127.0.0.1:{ours}/webhooks/sms",
        sms_webhook_secrets=WEBHOOK_SECRET,
        sms_at_any_hour=True,
    )
    mock = create_app(settings.model_copy(update={"database_url": await databases.fresh("onecard_mock")}))
    app = build(settings)
    async with (
        serving(mock, theirs) as platform_url,
        serving(app, ours) as url,
        httpx.AsyncClient(base_url=platform_url, timeout=5) as platform,
        httpx.AsyncClient(base_url=url, timeout=5) as http,
    ):
        yield Office(app, http, platform, Sealer.parse(settings.sealing_keys))


async def test_a_text_is_delivered_within_seconds_by_the_platforms_own_receipt(office: Office) -> None:
    person_id, contact = office.person(1)
    await office.receive(contact, approval_of(person_id))
    [message] = await office.all_are("delivered")
    assert message["medium"] == "sms"
    [sent] = await office.texts()
    assert (sent["phone"], sent["text"]) == (PHONE, message["text"])
    steps = [step["status"] for step in await office.sql("SELECT status FROM message_history ORDER BY at")]
    assert (steps[0], steps[-1]) == ("queued", "delivered")


async def test_rare_names_reach_the_platform_unchanged_where_a_family_shares_a_phone(office: Office) -> None:
    long_name = "阿卜杜热合曼·买买提依明江·阿卜杜克里木江买合木提"  # 25 characters with U+00B7
    people = [office.person(number, name=name) for number, name in enumerate(("䶮小龙", "𠮷野木", long_name))]
    await office.receive(*(contact for _, contact in people))
    await office.receive(*(approval_of(person_id) for person_id, _ in people))
    messages = await office.all_are("delivered", within_s=180)
    [sent] = await office.texts()
    assert sent["text"].startswith(f"【两补】䶮小龙、𠮷野木、{long_name}：您于")
    assert len(messages) == 3


async def test_whatever_goes_wrong_each_text_is_sent_once_and_ends_delivered(office: Office) -> None:
    await office.faults(
        latency_ms=20,
        http_500_rate=0.2,
        timeout_after_accept_rate=0.15,
        drop_receipt_rate=0.2,
        duplicate_receipt_rate=0.5,
        missing_field_rate=0.2,
        reorder=True,
    )
    people = [office.person(number, f"138{number:08d}") for number in range(40)]
    await office.receive(*(contact for _, contact in people), *(approval_of(person_id) for person_id, _ in people))
    messages = await office.all_are("delivered", within_s=180)
    sent = await office.texts()
    assert len(messages) == len(sent) == len({text["phone"] for text in sent}) == 40


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"refuse_phones": [PHONE]}, "refused by the provider (422)"),
        ({"fail_phones": {PHONE: "停机"}}, "停机"),
    ],
    ids=["refused", "unreachable"],
)
async def test_a_number_that_cannot_be_reached_makes_a_letter_due_and_says_why(
    office: Office, faults: dict[str, Any], reason: str
) -> None:
    await office.faults(**faults)
    person_id, contact = office.person(1)
    await office.receive(contact, approval_of(person_id))
    [message] = await office.all_are("letter_due")
    assert (message["medium"], message["reason"], message["phone"]) == ("letter", reason, None)
    [told] = await office.sql("SELECT body FROM outbox WHERE type = 'message.failed.v1'")
    assert PHONE not in told["body"]


async def test_a_text_that_was_accepted_and_lost_becomes_a_letter_and_a_late_receipt_makes_it_needless(
    office: Office, issuer: Issuer
) -> None:
    await office.faults(lose_after_accept_rate=1)
    person_id, contact = office.person(1)
    await office.receive(contact, approval_of(person_id))
    await office.all_are("sent")
    as_of = str(business_today() + timedelta(days=5))
    ran = await office.http.post("/v1/daily-runs", json={"as_of": as_of}, headers=issuer.bearer("admin", "53"))
    assert ran.json()["done"]["unconfirmed texts made letters"] == 1
    [message] = await office.all_are("letter_due")
    receipt = {"message_id": str(message["message_id"]), "status": "delivered"}
    assert (await tell(office, [receipt, receipt])).json() == {"delivered": 1, "failed": 0, "unreadable": 0}
    [message] = await office.all_are("delivered")
    assert message["medium"] == "sms"
    late_failure = receipt | {"status": "failed"}
    assert (await tell(office, [late_failure])).json()["failed"] == 0, "what was delivered stays delivered"


async def test_receipts_that_are_forged_are_refused_and_unreadable_or_strange_ones_change_nothing(
    office: Office,
) -> None:
    assert (await office.http.post("/webhooks/sms", json={})).status_code == 401
    assert (await tell(office, [], secret="whsec_" + "A" * 44)).status_code == 401
    assert (await tell(office, [], at=utc_now() - timedelta(minutes=10))).status_code == 401
    strange = [{"message_id": str(new_id()), "status": "delivered"}, {"message_id": "x"}, {"status": "failed"}]
    assert (await tell(office, strange)).json() == {"delivered": 0, "failed": 0, "unreadable": 2}


async def tell(
    office: Office, receipts: list[dict[str, str]], *, secret: str = WEBHOOK_SECRET, at: datetime | None = None
) -> httpx.Response:
    at = at or utc_now()
    body = httpx.Request("POST", "/", json={"type": "sms.receipts", "data": {"receipts": receipts}}).content.decode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
    }
    return await office.http.post("/webhooks/sms", content=body, headers=headers)
