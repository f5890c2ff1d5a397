"""The doors of intake and the voice that answers, from outside: each channel, each refusal, each deadline."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from libs.common.clock import business_today
from libs.common.working_days import working_days_after
from tests.e2e.world import Person, World, until

PDF = b"%PDF-1.7\nsample"


def path_of(person: Person) -> str:
    return f"/v1/applications/{person.application_id}"


async def scan(world: World, person: Person, kind: str, content: bytes) -> httpx.Response:
    """A scanned document for the application's archive."""
    return await world.call(
        "POST",
        "intake",
        f"{path_of(person)}/documents",
        "partner",
        person.area,
        data={"kind": kind, "source": "scan"},
        files={"file": ("a", content)},
    )


def working_days(count: int, on: date | None = None) -> str:
    return working_days_after(on or business_today(), count).isoformat()


async def texts_to(world: World, phone: str, *, holding: str) -> list[str]:
    """What the SMS platform sent to a phone, once something with these words is there."""

    async def sent() -> list[str] | None:
        answer = await world.http.get(world.url("onecard_mock", "/sms/v1/texts"), params={"phone": phone})
        said = [item["text"] for item in answer.json()["items"]]
        return said if any(holding in text for text in said) else None

    return await until(sent, f"a text to {phone} with {holding}")


def with_phone(world: World, person: Person, phone: str) -> dict[str, Any]:
    return {"applicant": world.application(person, "2026-01-10", ["care"])["applicant"] | {"phone": phone}}


async def late_after(world: World, area: str, due_on: str) -> list[tuple[str, ...]]:
    """What came before the office above by the day after a deadline, however often that day is run."""
    as_of = date.fromisoformat(due_on) + timedelta(days=1)
    for _ in range(2):
        await world.post("intake", "/v1/daily-runs", "admin", {"as_of": as_of.isoformat()}, area="53")
    late = (await world.get("intake", f"/v1/escalations?area={area}&open=true", "civil_affairs", area))["items"]
    return [(item["kind"], item["office"], item["escalated_to"], item["subject_id"]) for item in late]


# --- channels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["counter", "online", "one_thing"])
async def test_an_application_of_each_channel_goes_from_its_door_to_the_decision(world: World, channel: str) -> None:
    area = world.county()
    matters = [{"kind": "残疾人证办理", "reference_no": "样本-1"}] if channel == "one_thing" else []
    relative = world.person(area)
    agent = {"relation": "配偶", "name": relative.name, "id_number": relative.id_number, "phone": "13900001234"}
    person = await world.apply(
        world.person(area), "2026-01-10", ["living", "care"], channel=channel, matters=matters, agent=agent
    )
    await world.review_all(person)
    decided = await world.approved(person)
    assert (decided["channel"], sorted(decided["granted"])) == (channel, ["care", "living"])
    assert [matter["kind"] for matter in decided["matters"]] == [matter["kind"] for matter in matters]
    assert decided["agent"]["relation"] == "配偶"
    assert relative.id_number not in json.dumps(decided), "shown masked"
    listed = await world.get("intake", f"/v1/applications?area={area}&channel={channel}&status=approved", area=area)
    assert [item["application_id"] for item in listed["items"]] == [person.application_id]


async def test_across_provinces_one_place_accepts_the_other_decides_and_three_clocks_run(world: World) -> None:
    accepting, deciding = world.county(), world.county()
    person = world.person(deciding)
    body = world.application(person, "2026-01-10", ["care"], channel="cross_province", accepted_area=accepting)
    filed = await world.post("intake", "/v1/applications", "township", body, area=accepting)
    person.person_id, person.application_id = filed["person_id"], filed["application_id"]

    early = {"stage": "township", "outcome": "approve"}
    refused = await world.call("POST", "intake", f"{path_of(person)}/reviews", "township", deciding, json=early)
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "not-forwarded")

    async def clock() -> tuple[str, str | None]:
        forwarding = (await world.get("intake", path_of(person), area=accepting))["forwarding"]
        return forwarding["step"], forwarding["due_on"]

    assert await clock() == ("forward", working_days(3))
    await world.post("intake", f"{path_of(person)}/forwarding", "township", area=accepting)
    assert await clock() == ("decide", working_days(10))
    untold = await world.call("POST", "intake", f"{path_of(person)}/result-notice", "township", accepting)
    assert untold.status_code == 409, "nothing is decided yet"
    await world.review_all(person)
    await world.approved(person)
    assert await clock() == ("tell", working_days(3))
    await world.post("intake", f"{path_of(person)}/result-notice", "township", area=accepting)
    assert await clock() == ("done", None)


async def test_a_bulk_is_answered_line_by_line_and_under_its_key_the_same_again(world: World) -> None:
    area = world.county()
    first, second = world.person(area), world.person(area)
    wrong = world.application(second, "2026-01-10", ["care"])
    wrong["applicant"]["phone"] = "12345"
    lines = [world.application(first, "2026-01-10", ["care"]), wrong, world.application(first, "2026-01-11", ["care"])]
    body = "\n".join([*(json.dumps(line, ensure_ascii=False) for line in lines), "{"]).encode()

    async def send() -> Any:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        path = "/v1/applications/bulk"
        return (await world.call("POST", "intake", path, "partner", area, content=body, headers=headers)).json()

    key = str(uuid4())
    answer = await send()
    assert [line["status"] for line in answer["results"]] == [201, 422, 409, 400]
    assert answer["results"][1]["errors"][0]["path"] == "applicant.phone"
    assert answer["results"][2]["application_id"] == answer["results"][0]["application_id"]
    assert await send() == answer


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_money_goes_to_a_guardian_only_of_who_cannot_act_and_with_the_reason(world: World) -> None:
    area = world.county()
    able, unable, guardian = world.person(area), world.person(area, "mental"), world.person(area)
    account = {"holder": "guardian", "bank": "云南农信", "number": guardian.account, "status": "active"}
    given = {"kind": "person", "name": guardian.name, "id_number": guardian.id_number, "phone": "13900001234"}

    async def apply(person: Person, **changes: Any) -> tuple[int, list[str]]:
        body = world.application(person, "2026-01-10", ["care"], **{"guardian": given, "account": account} | changes)
        answer = await world.call("POST", "intake", "/v1/applications", "partner", area, json=body)
        return answer.status_code, [error["path"] for error in answer.json().get("errors", ())]

    reasoned = account | {"reason": "本人社保卡金融功能无法开通"}
    assert await apply(able, account=reasoned) == (422, ["account.holder"])
    assert await apply(unable) == (422, ["account.reason"])
    assert await apply(unable, account=reasoned, guardian=None) == (422, ["account.holder"])
    assert await apply(unable, account=reasoned, guardian=given | {"id_number": unable.id_number}) == (
        422,
        ["guardian.id_number"],
    )
    assert await apply(unable, account=reasoned) == (201, [])


async def test_a_mental_component_that_a_certificate_gains_lets_a_guardian_be_paid_until_it_is_lost(
    world: World,
) -> None:
    area = world.county()
    guardian = world.person(area)
    none = {"holder": "own", "status": "none"}
    person = await world.apply(world.person(area), "2026-01-10", ["care"], account=none)
    await world.review_all(person)
    await world.approved(person)
    path = f"/v1/persons/{person.person_id}"
    given = {"kind": "person", "name": guardian.name, "id_number": guardian.id_number, "phone": "13900001234"}
    account = {"holder": "guardian", "bank": "云南农信", "number": guardian.account, "status": "active"}
    account |= {"reason": "本人社保卡金融功能无法开通"}

    async def change(what: str, body: dict[str, Any]) -> int:
        proposed = await world.call("PUT", "intake", f"{path}/{what}", "township", area, json=body)
        if proposed.status_code == 202:
            approval = f"/v1/changes/{proposed.json()['change_id']}/approval"
            await world.post("intake", approval, "civil_affairs", area=area)
        return proposed.status_code

    async def known() -> tuple[bool, set[bool]]:
        """Whether the person cannot act, and whether what is due can be paid, once all that was accepted is known."""
        await world.heard()
        due = (await world.get("disbursement", f"{path}/account", area=area))["items"]
        return (await world.get("intake", path, area=area))["cannot_act"], {month["payee_ready"] for month in due}

    assert await change("guardian", given) == 202
    assert await change("account", account) == 422
    assert await known() == (False, {False})
    parts = [{"category": "physical", "level": 1}, {"category": "mental", "level": 2}]
    await world.push(person, "certificate.reassessed", "2026-03-05", category="multiple", level=1, components=parts)
    assert await known() == (True, {False})
    assert await change("account", account) == 202
    assert await known() == (True, {True})
    await world.push(person, "certificate.reassessed", "2026-04-07", category="physical", level=1)
    assert await known() == (False, {False})


async def test_what_is_rejected_says_why_and_an_upheld_objection_opens_it_again(world: World) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    await world.review(person, "township", outcome="reject", reason="材料与本人不符")
    shown = await world.get("intake", path_of(person), area=area)
    assert (shown["status"], shown["reason"]) == ("rejected", "材料与本人不符")
    late = await scan(world, person, "photo", PDF)
    assert late.status_code == 409, "its archive is closed"

    objection = {"application_id": person.application_id, "text": "材料是本人的，请复核"}
    filed = await world.post("intake", "/v1/objections", "township", objection, area=area, sub="who helped to write it")
    path, upheld = f"/v1/objections/{filed['objection_id']}/decision", {"outcome": "upheld", "reason": "理由成立"}
    own = await world.call("POST", "intake", path, "civil_affairs", area, "who helped to write it", json=upheld)
    assert own.status_code == 403
    await world.post("intake", path, "civil_affairs", upheld, area=area)
    shown = await world.get("intake", path_of(person), area=area)
    assert (shown["status"], shown["stage"], shown["due_on"]) == ("in_review", "township", working_days(3))


async def test_a_withdrawn_application_is_over_and_makes_room_for_another(world: World) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    first = path_of(person)
    await world.post("intake", f"{first}/withdrawal", "partner", {"reason": "本人改变主意"}, area=area)
    again = await world.call("POST", "intake", f"{first}/withdrawal", "partner", area)
    review = {"stage": "township", "outcome": "approve"}
    reviewed = await world.call("POST", "intake", f"{first}/reviews", "township", area, json=review)
    assert (again.status_code, reviewed.status_code) == (409, 409)
    await world.apply(person, "2026-02-10", ["care"])
    assert path_of(person) != first


async def test_progress_is_shown_to_who_knows_receipt_and_last_four_and_to_nobody_else(world: World) -> None:
    area = world.county()
    person = world.person(area)
    filed = await world.post(
        "intake", "/v1/applications", "partner", world.application(person, "2026-01-10", ["care"]), area=area
    )

    async def ask(last4: str) -> Any:
        question = {"receipt_no": filed["receipt_no"], "id_last4": last4}
        return await world.http.post(world.url("intake", "/v1/public/progress"), json=question)

    right = person.id_number[-4:]
    shown = await ask(right)
    assert (shown.status_code, shown.json()["stage"], shown.json()["due_on"]) == (200, "township", working_days(3))
    assert person.name not in shown.text
    wrong = "0000" if right != "0000" else "1111"
    assert [(await ask(wrong)).status_code for _ in range(6)] == [404] * 5 + [429]


# --- deadlines --------------------------------------------------------------------------------------------------------


async def test_each_office_has_its_days_and_what_is_late_comes_before_the_office_above(world: World) -> None:
    area, phone = world.county(), "13700005672"
    person = world.person(area)
    await world.apply(person, "2026-01-10", ["care"], **with_phone(world, person, phone))

    async def due() -> tuple[str, str, str]:
        shown = await world.get("intake", path_of(person), area=area)
        return shown["status"], shown["stage"], shown["due_on"]

    assert await due() == ("submitted", "township", working_days(3))
    await world.review(person, "township", outcome="return", reason="缺少承诺书")
    assert await due() == ("returned", "township", working_days(20))
    assert await texts_to(world, phone, holding="需要补正")
    await world.post("intake", f"{path_of(person)}/completion", "partner", area=area)
    assert await due() == ("in_review", "township", working_days(3))
    assert (await world.get("intake", path_of(person), area=area))["accrues_from"] == "2026-01-10", "in time"
    await world.review(person, "township")
    assert await due() == ("in_review", "cdpf", working_days(3))

    assert await late_after(world, area, working_days(3)) == [("review", "cdpf", area[:4], person.application_id)]
    await world.review(person, "cdpf")
    assert await due() == ("in_review", "civil_affairs", working_days(4))


async def test_an_objection_is_answered_within_its_days_or_comes_before_the_office_above(world: World) -> None:
    area, phone = world.county(), "13700005671"
    person = world.person(area)
    await world.apply(person, "2026-01-10", ["care"], **with_phone(world, person, phone))
    await world.review(person, "township", outcome="reject", reason="材料与本人不符")
    objection = {"application_id": person.application_id, "text": "材料是本人的，请复核"}
    filed = await world.post("intake", "/v1/objections", "township", objection, area=area)

    async def open_ones() -> list[tuple[str, str]]:
        found = await world.get("intake", f"/v1/objections?area={area}&status=open", area=area)
        return [(item["objection_id"], item["due_on"]) for item in found["items"]]

    due_on = working_days(20)
    assert await open_ones() == [(filed["objection_id"], due_on)]
    assert await late_after(world, area, due_on) == [("objection", "civil_affairs", area[:4], filed["objection_id"])]
    dismissed = {"outcome": "dismissed", "reason": "经复核，原决定无误"}
    await world.post(
        "intake", f"/v1/objections/{filed['objection_id']}/decision", "civil_affairs", dismissed, area=area
    )
    assert await open_ones() == []
    assert await late_after(world, area, due_on) == []
    assert await texts_to(world, phone, holding="维持原决定")


async def test_what_a_spot_check_misses_is_completed_within_its_days_or_comes_before_the_office_above(
    world: World,
) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    asked = {"area": area, "period": "2026-01", "sample_size": 1, "seed": 42}
    check = await world.post("intake", "/v1/archive-checks", "cdpf", asked, area=area)
    path = f"/v1/archive-checks/{check['archive_check_id']}"
    verdict = {"verdict": "missing", "missing": ["photo"]}
    await world.post("intake", f"{path}/items/{person.application_id}", "cdpf", verdict, area=area)

    async def tasks() -> list[dict[str, Any]]:
        found = await world.get("intake", f"/v1/completion-tasks?area={area}", "township", area)
        return list(found["items"])

    [task] = await tasks()
    due_on = working_days(10)
    assert (task["kind"], task["status"], task["due_on"]) == ("photo", "open", due_on)
    late = await late_after(world, area, due_on)
    assert ("completion", "township", area[:4], task["task_id"]) in late
    assert (await scan(world, person, "photo", PDF)).status_code == 201
    assert [task["status"] for task in await tasks()] == ["done"]
    assert "completion" not in [kind for kind, *_ in await late_after(world, area, due_on)]
    assert (await world.get("intake", path, "cdpf", area))["report"]["done"]


async def test_a_transfer_between_counties_waits_for_the_county_moved_to(world: World) -> None:
    old, new = world.county(), world.county()
    person = await world.granted(old, subsidies=("care",))
    moved_on = (business_today().replace(day=1)).isoformat()
    body = {"person_id": person.person_id, "to_area": f"{new}001", "moved_on": moved_on}
    proposed = await world.post("intake", "/v1/transfers", "civil_affairs", body, area=old)
    assert proposed["due_on"] == working_days(10)
    path = f"/v1/transfers/{proposed['transfer_id']}/decision"
    accepted = {"outcome": "accepted"}
    own = await world.call("POST", "intake", path, "civil_affairs", old, json=accepted)
    assert own.status_code in (403, 404), "the county left does not accept for the other"
    assert (await world.get("intake", path_of(person), area=new))["status"] == "approved", "its archive is shared"
    decided = await world.post("intake", path, "civil_affairs", accepted, area=new)
    assert (decided["status"], decided["decided_on"]) == ("accepted", business_today().isoformat())


# --- archive and voice ------------------------------------------------------------------------------------------------


async def test_an_archive_says_what_is_missing_until_everything_is_there(world: World) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    archive = await world.get("intake", f"{path_of(person)}/archive", area=area)
    assert archive["missing"]
    assert not archive["complete"]
    for kind in archive["missing"]:
        added = await scan(world, person, kind, PDF + kind.encode())
        assert added.status_code == 201, added.text
    archive = await world.get("intake", f"{path_of(person)}/archive", area=area)
    assert (archive["missing"], archive["complete"]) == ([], True)
    assert archive["items"]
    assert all(item["sha256"] and item["uploaded_by"] for item in archive["items"])
    large = await scan(world, person, "photo", b"%PDF-" + bytes(8 << 20))
    assert (large.status_code, "8388608" in large.text) == (413, True), "refused, and it says what is taken"


async def test_a_decision_is_told_and_a_changed_phone_is_told_to_the_old_one(world: World) -> None:
    area = world.county()
    person, phone = world.person(area), "13700005678"
    await world.apply(person, "2026-01-10", ["care"], **with_phone(world, person, phone))
    await world.review_all(person)
    [granted] = await texts_to(world, phone, holding="已获批准")
    assert "复核" in granted, "and how to object"
    assert person.name not in granted
    await world.call(
        "PUT", "intake", f"/v1/persons/{person.person_id}/contact", "township", area, json={"phone": "13700005679"}
    )
    assert await texts_to(world, phone, holding="联系电话已变更")


async def test_a_partner_is_told_of_each_status_by_a_signed_webhook(world: World) -> None:
    area, told = world.county(), []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        # The signature tells capital letters apart.
        headers["webhook-signature"] = re.search("(?i)webhook-signature: (.*)", head)[1].strip()  # type: ignore[index]
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        told.append(Webhook(registered["secret"]).verify(body, headers))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        answer = await world.call("PUT", "intake", "/v1/webhooks", "partner", area, json={"url": url})
        registered = answer.json()
        person = await world.apply(world.person(area), "2026-01-10", ["care"])
        await world.review_all(person)
        await world.approved(person)

        async def all_told() -> Any:
            return sorted(told, key=lambda message: message["data"]["version"]) if len(told) >= 4 else None

        messages = await until(all_told, "the webhooks")
    assert [(message["data"]["status"], message["data"]["stage"]) for message in messages] == [
        ("in_review", "cdpf"),
        ("in_review", "civil_affairs"),
        ("in_review", None),
        ("approved", None),
    ]
    assert {message["data"]["application_id"] for message in messages} == {person.application_id}


async def newly_certified(world: World, days_ago: int) -> Person:
    area = world.county()
    person = world.person(area)
    certified_on = (business_today() - timedelta(days=days_ago)).isoformat()
    certificate: dict[str, Any] = {"category": person.category, "level": person.level, "area": f"{area}001"}
    pushed = await world.push(person, "certificate.issued", certified_on, expires_on="2036-03-14", **certificate)
    person.person_id = pushed["person_id"]
    return person


async def outreach_to(world: World, person: Person, *statuses: str) -> Any:
    """The outreach to a person once it stands like that."""

    async def found() -> Any:
        path = f"/v1/outreach?person_id={person.person_id}"
        cases = (await world.get("matching", path, area=person.area))["items"]
        return next((case for case in cases if case["status"] in statuses), None)

    return await until(found, f"an outreach that is {' or '.join(statuses)}")


async def reminded_by_letter(world: World, person: Person) -> Any:
    """The outreach, once the letter to who has no phone was handed over."""

    async def letters() -> Any:
        found = await world.get("notification", f"/v1/messages?person_id={person.person_id}", area=person.area)
        return [item for item in found["items"] if item["status"] == "letter_due"] or None

    [letter] = await until(letters, "the letter to be written")
    delivery = {"delivered_on": business_today().isoformat()}
    path = f"/v1/messages/{letter['message_id']}/delivery"
    await world.post("notification", path, "township", delivery, area=person.area)
    return await outreach_to(world, person, "reminded")


async def test_who_is_newly_certified_is_reminded_on_paper_and_answers_by_applying(world: World) -> None:
    person = await newly_certified(world, days_ago=5)
    assert (await outreach_to(world, person, "reminding"))["eligible"] == ["care"]
    assert (await reminded_by_letter(world, person))["reminded_by"] == "letter"
    await world.apply(person, business_today().isoformat(), ["care"])
    await outreach_to(world, person, "applied")


async def test_who_does_not_answer_has_waived_by_the_later_of_two_clocks_and_may_still_apply(world: World) -> None:
    person = await newly_certified(world, days_ago=85)
    case = await reminded_by_letter(world, person)
    lapses_after = business_today() + timedelta(days=30)
    assert case["lapses_after"] == lapses_after.isoformat(), "later than the three months"
    for as_of, status in ((lapses_after, "reminded"), (lapses_after + timedelta(days=1), "lapsed")):
        await world.post("matching", "/v1/daily-runs", "admin", {"as_of": as_of.isoformat()}, area="53")
        await outreach_to(world, person, status)
    filed = await world.apply(person, business_today().isoformat(), ["care"])
    assert (await world.get("intake", path_of(filed), area=person.area))["status"] == "submitted"
    await outreach_to(world, person, "applied")
