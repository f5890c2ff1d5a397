"""What an area publishes, the letters that are signed again for it, and the receipts of papers, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from libs.common.clock import business_today
from libs.common.events.eligibility import PolicyChanged
from tests.integration.intake import Office
from tests.integration.test_papers import words_of

TODAY = business_today()
SIGNED_ON = TODAY - timedelta(days=30)


def policy(area: str, version: int, amounts: Mapping[date, int], **more: Any) -> PolicyChanged:
    values = [
        {"parameter": "living.amount_fen", "since": str(since), "value": value} for since, value in amounts.items()
    ]
    values += [{"parameter": name.replace("__", "."), "since": "2016-01-01", "value": v} for name, v in more.items()]
    told = {"version": version, "area": area, "policy_version": f"v{version} of {area}", "values": values}
    return PolicyChanged.model_validate(told)


async def public(office: Office, path: str, **query: str) -> Any:
    answer = await office.running.http.get(f"/v1/public/{path}", params={"area": f"{office.area}001", **query})
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.headers["content-type"] == "application/json" else answer


async def submit_signed(office: Office, signed_on: date = SIGNED_ON) -> dict[str, Any]:
    body = office.declaration()
    body["applied_on"] = str(signed_on)
    body["commitment"] = {"signed_on": str(signed_on), "version": "v1"}
    return await office.submit(body)


async def to_sign_again(office: Office) -> list[str]:
    answer = await office.get("/commitments", "township")
    assert answer.status_code == 200, answer.text
    return [item["application_id"] for item in answer.json()["items"]]


async def test_the_notice_is_data_too_and_says_since_when_it_reads_so(office: Office) -> None:
    await office.tell(policy(office.area, 1, {date(2016, 1, 1): 9000, date(2026, 1, 1): 10_000}))
    now, early = await public(office, "notice"), await public(office, "notice", on="2025-12-31")
    assert now["published_on"] == "2026-01-01"
    assert (now["version"], now["area"]) == (f"v1 of {office.area}", f"{office.area}001")
    assert any("100.00元" in line["text"] for line in now["lines"])
    assert any("90.00元" in line["text"] for line in early["lines"])
    assert now["commitments"]


async def test_the_service_guide_is_published_without_a_login_with_its_day(office: Office) -> None:
    materials = {"guide__materials": ["居民身份证或户口簿", "残疾人证"], "review__cdpf_days": 5}
    await office.tell(policy(office.area, 1, {date(2026, 1, 1): 10_000}, **materials))
    guide = await public(office, "guide")
    sections = {section["title"]: section["lines"] for section in guide["sections"]}
    assert guide["published_on"] == "2026-01-01"
    assert sections["申请材料"] == ["居民身份证或户口簿", "残疾人证"]
    assert any("县级残联" in line and "5个工作日" in line for line in sections["办理流程和时限"])
    assert any("12345" in line for line in sections["咨询和监督"])
    printed = words_of((await public(office, "guide.pdf")).content)
    assert "残疾人两项补贴办事指南" in printed
    assert "每人每月100.00元" in printed
    assert "跨省通办" in (await public(office, "guide.html")).text

    changed = policy(office.area, 2, {date(2026, 1, 1): 10_000}, **materials, public_list__days=14)
    await office.tell(changed)
    assert (await public(office, "guide"))["published_on"] == str(TODAY)
    assert (await public(office, "notice"))["published_on"] == "2026-01-01", "the letter reads as before"


async def test_a_changed_policy_asks_for_the_letter_to_be_signed_again(office: Office) -> None:
    await office.tell(policy(office.area, 1, {date(2016, 1, 1): 9000}))
    opened, rejected = await submit_signed(office), await submit_signed(office)
    await office.review(rejected["application_id"], "township", "reject", reason="不符合条件")
    assert await to_sign_again(office) == []

    raised = policy(office.area, 2, {date(2016, 1, 1): 9000, TODAY: 12_000})
    await office.tell(raised)
    late = await submit_signed(office, TODAY)
    assert await to_sign_again(office) == [opened["application_id"]], "not the rejected one, not the one signed today"
    path = f"/applications/{opened['application_id']}"
    letter = (await office.get(f"{path}/papers/commitment.html")).text
    assert "每人每月120.00元" in letter
    before_last = {"signed_on": str(SIGNED_ON - timedelta(days=1))}
    assert (await office.post(f"{path}/commitment", "township", before_last)).status_code == 422

    signed = await office.post(f"{path}/commitment", "township", {"signed_on": str(TODAY)})
    assert signed.status_code == 200, signed.text
    assert signed.json() == {
        "signed_on": str(TODAY),
        "version": f"v2 of {office.area}",
        "published_on": str(TODAY),
        "to_sign_again": False,
    }
    assert await to_sign_again(office) == []
    assert (await office.get(f"/applications/{late['application_id']}/commitment")).json()["to_sign_again"] is False
    no_more = await office.post(f"/applications/{rejected['application_id']}/commitment", "township", signed.json())
    assert no_more.status_code == 409


async def test_a_standard_that_begins_later_asks_from_its_day_on_by_the_daily_run(office: Office) -> None:
    begins = TODAY + timedelta(days=10)
    await office.tell(policy(office.area, 1, {date(2016, 1, 1): 9000, begins: 12_000}))
    submitted = await submit_signed(office)
    for as_of in (TODAY, begins, begins):
        assert (await office.post("/daily-runs", "admin", {"as_of": str(as_of)}, area="00")).status_code == 201
    published = await office.rows(
        f"SELECT published_on FROM publications WHERE kind = 'letter' AND area = '{office.area}' ORDER BY 1"
    )
    assert [row["published_on"] for row in published] == [date(2016, 1, 1), begins]
    assert submitted["application_id"] not in await to_sign_again(office), "not before its day"


async def test_a_paper_s_delivery_has_its_receipt(office: Office) -> None:
    submitted = await submit_signed(office)
    path = f"/applications/{submitted['application_id']}/papers"
    receipt = {"delivered_on": str(TODAY), "method": "in_person", "received_by": "本人"}
    assert (await office.post(f"{path}/rejection/deliveries", "township", receipt)).status_code == 409
    await office.review(submitted["application_id"], "township", "reject", reason="不符合条件")
    early = receipt | {"delivered_on": str(SIGNED_ON)}
    assert (await office.post(f"{path}/rejection/deliveries", "township", early)).status_code == 422
    delivered = await office.post(f"{path}/rejection/deliveries", "township", receipt)
    assert delivered.status_code == 201, delivered.text
    papers = {item["kind"]: item["deliveries"] for item in (await office.get(path)).json()}
    assert set(papers) == {"commitment", "acceptance", "rejection", "approval-form"}
    assert papers["rejection"] == [receipt | {"recorded_by": f"township-{office.area}"}]
    assert "签收人" in (await office.get(f"{path}/acceptance.html")).text
