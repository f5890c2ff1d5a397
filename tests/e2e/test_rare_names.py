"""Rare names go the whole way unchanged: application, bank, paper, and the text to a phone that serves several persons.
The bank's message names nobody."""

from __future__ import annotations

from typing import Any

import pypdfium2
import pytest

from tests.e2e.world import World, until

LONG_NAME = "阿卜杜热合曼·买买提依明江·阿卜杜克里木江买合木提"  # 25 characters with U+00B7


@pytest.mark.parametrize("name", ["䶮小龙", "𠮷野木", LONG_NAME])
async def test_a_rare_name_goes_from_the_application_to_bank_file_text_and_paper(world: World, name: str) -> None:
    area = world.county()
    await world.apply(world.person(area), "2026-01-10", ["care"])  # with the same phone
    await world.appropriate(area)
    person = await world.granted(area, name=name)
    cycle = await world.pay(area, "2026-02")
    transfers = await world.transfers(person)
    assert transfers
    assert {transfer["payee_name"] for transfer in transfers} == {name}

    async def texts() -> list[str] | None:
        sent = [sms["text"] for transfer in transfers for sms in await world.sms(transfer["payment_id"])]
        return sent if len(sent) >= len(transfers) else None

    assert all(name not in text for text in await until(texts, "the bank's messages"))

    async def named() -> Any:
        answer = await world.http.get(world.url("onecard_mock", "/sms/v1/texts"), params={"phone": "13800001234"})
        said = [item["text"] for item in answer.json()["items"]]
        return [text for text in said if name in text and "已获批准" in text] or None

    assert await until(named, "the text that names the person")

    bank_file = await world.call("GET", "disbursement", f"/v1/cycles/{cycle['cycle_id']}/bank-file", "finance", area)
    assert bank_file.status_code == 200, bank_file.text
    assert name in bank_file.content.decode("utf-8-sig")

    path = f"/v1/applications/{person.application_id}/papers/approval-form.pdf"
    printed = await world.call("GET", "intake", path, "civil_affairs", area)
    assert printed.status_code == 200, printed.text
    document = pypdfium2.PdfDocument(printed.content)
    words = "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    document.close()
    assert name in words
