"""Messages on paper, for whoever has no phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pypdfium2
import pytest

from libs.common.database import new_id
from libs.common.events.intake import ContactChanged
from tests.conftest import Databases, Issuer
from tests.integration.test_notification import AREA, PERSON, THIS_MONTH, Notification, entitlement, notification

RARE = "䶮𠮷·阿卜杜克里木"


@pytest.fixture
async def service(databases: Databases, make_settings: Any) -> AsyncIterator[Notification]:
    async with notification(databases, make_settings) as made:
        yield made


async def test_a_stop_becomes_a_letter_to_a_rare_name_with_basis_remedy_and_receipt(
    service: Notification, issuer: Issuer
) -> None:
    event_id = new_id()
    name = service.sealer.seal(RARE, event_id, "name")
    contact = ContactChanged(person_id=PERSON, version=1, area=AREA, name=name, phone=None)
    await service.receive((contact, event_id), entitlement(1, None))
    await service.receive(entitlement(2, THIS_MONTH, cause="certificate.expired"))
    await service.send_all()
    [message] = await service.messages()
    assert message["status"] == "letter_due"
    path = f"/v1/messages/{message['message_id']}/letter"
    township = issuer.bearer("township", AREA)
    printed = await service.app.http.get(f"{path}.pdf", headers=township)
    assert printed.status_code == 200, printed.text
    document = pypdfium2.PdfDocument(printed.content)
    words = "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    document.close()
    for expected in ("停发通知书", RARE, "残疾人证已过期", "依据", "复核申请", "签收人"):
        assert expected in words
    assert RARE in (await service.app.http.get(f"{path}.html", headers=township)).text
    elsewhere = issuer.bearer("township", "530103001")
    assert (await service.app.http.get(f"{path}.pdf", headers=elsewhere)).status_code == 404
    assert [row["action"] for row in await service.sql("SELECT action FROM audit_log")] == ["print letter"] * 2
    [stored] = await service.sql("SELECT name FROM contacts")
    assert stored["name"].startswith("sm4."), "names lie sealed"
