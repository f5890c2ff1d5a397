"""The papers of intake over HTTP: what the person is handed, what the offices sign, what the village reads."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pypdfium2
from python_calamine import CalamineWorkbook

from libs.common.clock import business_today
from libs.common.events.eligibility import PolicyChanged
from tests.integration.intake import Office

RARE = "䶮𠮷·阿卜杜克里木"


def policy(area: str, version: int, living_fen: int) -> PolicyChanged:
    values = [
        {"parameter": "living.amount_fen", "since": "2016-01-01", "value": 9000},
        {"parameter": "living.amount_fen", "since": "2026-01-01", "value": living_fen},
        {"parameter": "care.amount_fen", "since": "2016-01-01", "value": {"1": 11000, "2": 10000}},
        {"parameter": "living.categories", "since": "2016-01-01", "value": ["dibao"]},
        {"parameter": "care.extended", "since": "2016-01-01", "value": [{"category": "mental", "levels": [3]}]},
    ]
    return PolicyChanged.model_validate(
        {"version": version, "area": area, "policy_version": f"v{version}", "values": values}
    )


def words_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    finally:
        document.close()


async def paper(office: Office, submitted: dict[str, Any], kind: str, form: str = "html", status: int = 200) -> str:
    answer = await office.get(f"/applications/{submitted['application_id']}/papers/{kind}.{form}")
    assert answer.status_code == status, answer.text
    return words_of(answer.content) if form == "pdf" and status == 200 else answer.text


async def test_letter_of_notice_and_commitment_says_the_policy_of_the_day_it_was_signed(office: Office) -> None:
    await office.tell(policy(office.area, 1, 10_000))
    submitted = await office.submit()
    printed = await paper(office, submitted, "commitment", "pdf")
    for expected in ("政策告知承诺书", "每人每月100.00元", "1级每人每月110.00元", "精神残疾3级", "最低生活保障家庭"):
        assert expected in printed
    await office.tell(policy(office.area, 2, 12_000))
    assert "每人每月120.00元" in await paper(office, submitted, "commitment")


async def test_public_notice_needs_no_token_and_says_the_policy_of_any_day(office: Office) -> None:
    async def printed(area: str, **query: str) -> str:
        answer = await office.running.http.get("/v1/public/notice.pdf", params={"area": area, **query})
        assert answer.headers["content-type"] == "application/pdf", answer.text
        return words_of(answer.content)

    await office.tell(policy(office.area, 2, 12_000), policy(office.area, 1, 10_000))
    now = await printed(f"{office.area}001")
    assert "每人每月120.00元" in now
    assert "编号：v2" in now
    assert "每人每月90.00元" in await printed(office.area, on="2025-12-31")
    early = await office.running.http.get("/v1/public/notice.pdf", params={"area": office.area, "on": "2010-01-01"})
    assert early.status_code == 404


async def test_refusal_says_reason_clause_and_how_to_object(office: Office) -> None:
    submitted = await office.submit()
    await paper(office, submitted, "rejection", status=409)
    await office.review(submitted["application_id"], "township", "reject", reason="<b>已享受特困供养</b>")
    page = await paper(office, submitted, "rejection")
    assert "&lt;b&gt;已享受特困供养" in page
    assert "依据：《国务院关于全面建立困难残疾人生活补贴和重度残疾人护理补贴制度的意见》（国发〔2015〕52号）" in page
    assert "复核申请" in page
    assert submitted["receipt_no"] in page


async def test_the_subsidy_that_was_not_granted_is_refused_with_rule_and_citation(office: Office) -> None:
    submitted = await office.submit()
    await office.approve_by_three(submitted["application_id"])
    await office.assess(submitted["application_id"], "care")
    printed = await paper(office, submitted, "rejection", "pdf")
    assert "提交的困难残疾人生活补贴申请，经审核不予批准" in printed
    assert "国发〔2015〕52号" in printed


async def test_return_names_what_is_missing_and_until_when(office: Office) -> None:
    submitted = await office.submit()
    await office.review(submitted["application_id"], "township", "return", reason="缺少残疾人证")
    due_on = (await office.read(submitted["application_id"]))["due_on"]
    year, month, day = (int(part) for part in due_on.split("-"))
    page = await paper(office, submitted, "completion")
    assert f"请于{year}年{month}月{day}日前补正" in page
    assert "<li>残疾人证</li>" in page


async def test_approval_form_holds_three_opinions_and_a_rare_name_but_no_whole_id(office: Office) -> None:
    body = office.declaration()
    body["applicant"]["name"] = RARE
    submitted = await office.granted(body)
    printed = await paper(office, submitted, "approval-form", "pdf")
    assert f"计发起始{office.declaration()['applied_on'][:7]}审核意见" in printed
    for expected in (RARE, "township clerk", "cdpf clerk", "civil_affairs clerk".replace(" ", ""), "同意"):
        assert expected.replace(" ", "") in printed
    assert body["applicant"]["id_number"] not in printed
    audited = await office.rows(
        f"SELECT action FROM audit_log WHERE object = '{submitted['application_id']}' AND action LIKE 'print %'"
    )
    assert [row["action"] for row in audited] == ["print approval-form"]


async def test_papers_of_another_county_are_not_found(office: Office) -> None:
    submitted = await office.submit()
    path = f"/applications/{submitted['application_id']}/papers/acceptance.pdf"
    assert (await office.get(path, "township", area="530199")).status_code == 404
    assert (await office.get(path, "finance")).status_code == 403


async def test_public_list_shows_the_newly_approved_and_takes_itself_down(office: Office) -> None:
    body = office.declaration()
    body["applicant"]["name"] = RARE
    submitted = await office.granted(body)
    today = business_today()
    query = {"area": office.area, "period": f"{today:%Y-%m}"}

    async def listed() -> list[dict[str, Any]]:
        answer = await office.running.http.get("/v1/public/lists", params=query)
        assert answer.status_code == 200, answer.text
        assert body["applicant"]["id_number"] not in answer.text
        assert "physical" not in answer.text
        return list(answer.json()["items"])

    first = await listed()
    assert {(item["subsidy"], item["amount_fen"]) for item in first} == {("living", 10_000), ("care", 10_000)}
    assert all(item["name"].startswith("䶮") and "阿卜杜" not in item["name"] for item in first)
    whole = await office.get("/public-list.pdf", "township", params=query)
    assert RARE in words_of(whole.content)
    assert RARE in (await office.get("/public-list.html", "township", params=query)).text
    table = (await office.get("/public-list.xlsx", "township", params=query)).content
    _, _, titles, *lines = CalamineWorkbook.from_filelike(io.BytesIO(table)).get_sheet_by_index(0).to_python()
    assert titles[:4] == ["姓名", "村（社区）所在乡镇", "补贴", "每月金额（元）"]
    assert [line[0] for line in lines[:2]] == [RARE, RARE]
    assert [line[3] for line in lines[:2]] == [100.0, 100.0]
    await office.rows(
        "UPDATE applications SET decided_on = decided_on - 8, reviewed_on = reviewed_on - 8"
        f" WHERE application_id = '{submitted['application_id']}' RETURNING 1 AS one"
    )
    query["period"] = f"{today - timedelta(days=8):%Y-%m}"
    assert await listed() == []
