"""Intake's pages as a clerk uses them: a work list, an application reviewed, a change approved, archives checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visitor
from tests.browser.test_console import has_no_serious_accessibility_problem
from tests.e2e.world import Person, World

COUNTY = "530124"


@pytest.fixture(scope="module")
async def applicant(world: World) -> Person:
    person = world.person(area=COUNTY, name="王秀英")
    return await world.apply(person, "2026-03-02", ["living", "care"])


async def photograph(visitor: Visitor, name: str) -> None:
    """Into the folder that LIANGBU_SCREENSHOTS names, to be looked at."""
    if folder := os.environ.get("LIANGBU_SCREENSHOTS"):
        await visitor.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_each_office_finds_the_application_in_its_work_and_gives_its_opinion(
    visitor: Visitor, applicant: Person
) -> None:
    await visitor.choose("township", COUNTY)
    await visitor.open("/work")
    main, dialog = visitor.page.get_by_role("main"), visitor.page.get_by_role("dialog")
    await expect(main.get_by_text("王*")).to_be_visible()
    await photograph(visitor, "work")
    await main.get_by_role("button", name="查看").click()
    await expect(dialog.get_by_text("尚缺：", exact=False)).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await photograph(visitor, "application")

    await dialog.get_by_role("button", name="退回补正").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("reason")
    async with visitor.reloading():
        await dialog.get_by_role("button", name="同意").click()
    await expect(main.get_by_text("没有符合条件的记录")).to_be_visible()

    await visitor.choose("cdpf", COUNTY)
    await visitor.open("/work")
    await main.get_by_role("button", name="查看").click()
    await expect(dialog.get_by_text("重度残疾人护理补贴：符合", exact=False)).to_be_visible()
    await expect(dialog.get_by_text("国发〔2015〕52号", exact=False).first).to_be_visible()
    await photograph(visitor, "assessed")
    async with visitor.page.expect_download() as downloading:
        await dialog.get_by_role("button", name="下载审批表 PDF").click()
    assert (await (await downloading.value).path()).read_bytes().startswith(b"%PDF-")
    assert visitor.complaints == []


async def test_a_scan_goes_into_the_archive_and_what_is_no_scan_does_not(visitor: Visitor, applicant: Person) -> None:
    await visitor.choose("township", COUNTY)
    await visitor.open("/applications")
    await visitor.page.get_by_role("main").get_by_role("button", name="查看").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_text("还没有材料")).to_be_visible()

    async def send(content: bytes) -> None:
        async with visitor.page.expect_file_chooser() as chooser:
            await dialog.get_by_role("button", name="选择文件").click()
        await (await chooser.value).set_files({"name": "身份证.pdf", "mimeType": "application/pdf", "buffer": content})

    await send(b"a text that is called a PDF")
    await expect(dialog.get_by_role("alert")).to_contain_text("只接收 PDF、JPEG、PNG、HEIC 文件")
    await send(b"%PDF-1.7\n%%EOF\n")
    await expect(dialog.get_by_text("已归档")).to_be_visible()
    await expect(dialog.get_by_role("cell", name="身份证", exact=True)).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await photograph(visitor, "archive")

    await dialog.get_by_role("combobox", name="更正").click()
    await visitor.page.get_by_role("option", name="身份证", exact=False).click()
    await send(b"%PDF-1.7\n% the other side\n%%EOF\n")
    await expect(dialog.get_by_role("cell", name="已被更正")).to_be_visible()
    assert len(visitor.complaints) == 0, visitor.complaints


async def test_a_change_of_account_is_seen_masked_and_approved_by_another_person(
    visitor: Visitor, world: World, applicant: Person
) -> None:
    account = {"holder": "own", "bank": "云南农信", "number": "6217001234567890128", "status": "active"}
    path = f"/v1/persons/{applicant.person_id}/account"
    proposed = await world.call("PUT", "intake", path, "township", COUNTY, json=account)
    assert proposed.status_code == 202, proposed.text
    await visitor.choose("civil_affairs", COUNTY)
    await visitor.open("/changes")
    main, dialog = visitor.page.get_by_role("main"), visitor.page.get_by_role("dialog")
    await expect(main.get_by_text("本人账户", exact=False)).to_be_visible()
    assert account["number"] not in await visitor.page.content()
    await main.get_by_role("button", name="查看").click()
    await expect(dialog.get_by_role("heading", name="收款账户变更")).to_be_visible()
    await photograph(visitor, "change")
    async with visitor.reloading():
        await dialog.get_by_role("button", name="批准", exact=True).click()
    await expect(main.get_by_text("没有符合条件的记录")).to_be_visible()
    await visitor.open(f"/persons/{applicant.person_id}")
    await expect(main.get_by_text("云南农信", exact=False).first).to_be_visible()
    await photograph(visitor, "person")
    assert visitor.complaints == []


async def test_archives_are_drawn_and_judged_one_by_one(visitor: Visitor, applicant: Person) -> None:
    await visitor.choose("cdpf", COUNTY)
    await visitor.open("/archive-checks")
    main, dialog = visitor.page.get_by_role("main"), visitor.page.get_by_role("dialog")
    await visitor.page.get_by_label("月份").fill("2026-03")
    async with visitor.reloading():
        await main.get_by_role("button", name="抽取").click()
    await expect(main.get_by_role("button", name="查看")).to_be_visible()
    await expect(main.get_by_role("heading", name="抽查期限")).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await main.get_by_role("button", name="查看").click()
    await expect(dialog.get_by_text("逐份检查", exact=False)).to_be_visible()
    await photograph(visitor, "check")
    async with visitor.reloading():
        await dialog.get_by_role("button", name="缺失，发出补全任务").click()
    await visitor.choose("township", COUNTY)
    await visitor.open("/completion-tasks")
    await expect(main.get_by_text("政策告知承诺书").first).to_be_visible()
    assert visitor.complaints == []


async def test_an_upheld_objection_against_a_month_is_looked_into_and_closed(visitor: Visitor, world: World) -> None:
    area = "530126"
    person = await world.apply(world.person(area, name="李国华"), "2026-03-02", ["care"])
    await world.review_all(person)
    await world.approved(person)
    month = {"person_id": person.person_id, "subsidy": "care", "period": "2026-03", "text": "三月份护理补贴没有发放"}
    filed = await world.post("intake", "/v1/objections", "township", month, area=area)
    upheld = {"outcome": "upheld", "reason": "理由成立，重新核定"}
    path = f"/v1/objections/{filed['objection_id']}/decision"
    await world.post("intake", path, "civil_affairs", upheld, area=area, sub="who reviewed nothing")
    main, dialog = visitor.page.get_by_role("main"), visitor.page.get_by_role("dialog")

    await visitor.choose("civil_affairs", area)
    await visitor.open("/objections?status=upheld&to_handle=true")
    await main.get_by_role("button", name="查看").click()
    await dialog.get_by_label("核定结果").fill("残疾人证状态录错，已更正")
    await has_no_serious_accessibility_problem(visitor)
    async with visitor.reloading():
        await dialog.get_by_role("button", name="办结").click()
    await expect(main.get_by_text("没有符合条件的记录")).to_be_visible()
    assert visitor.complaints == []


async def test_a_guardianship_that_ended_holds_the_money_until_the_township_names_the_new_guardian(
    visitor: Visitor, world: World
) -> None:
    area = world.county()
    child, father, mother = (world.person(area, "mental", 2, name) for name in ("李小山", "李大山", "王小梅"))
    account = {"holder": "guardian", "bank": "云南农信", "number": father.account, "status": "active", "reason": "无卡"}
    guardian = {"kind": "person", "name": father.name, "id_number": father.id_number}
    await world.apply(child, "2026-01-10", ["care"], guardian=guardian, account=account)
    await world.review_all(child)
    await world.approved(child)
    await world.until_books(child, "care", "2026-03", payee_ready=True)

    csv = f"id_number,guardian_name,guardian_id_number,from,to\n{child.id_number},{father.name},{father.id_number}"
    path = f"/v1/feeds/guardianships?area={area}&as_of=2026-03-31&mode=delta"
    headers = {"content-type": "text/csv"}
    content = f"{csv},2020-01-01,2026-03-01\n"
    feed = await world.call("POST", "matching", path, "civil_affairs", area, content=content, headers=headers)
    assert feed.status_code == 201, feed.text
    await world.until_books(child, "care", "2026-03", payee_ready=False)
    assert (await world.books(child, "care"))["2026-03"]["obstacle"] == "guardian_in_question"

    await visitor.choose("township", area)
    await visitor.open("/register-leads")
    main, dialog = visitor.page.get_by_role("main"), visitor.page.get_by_role("dialog")
    await expect(main.get_by_text("在册监护人的监护关系已终止", exact=False)).to_be_visible()
    await main.get_by_role("button", name="查看").click()
    await expect(dialog.get_by_text("2020-01-01 至 2026-03-01", exact=False)).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await photograph(visitor, "register_lead")
    said = {
        "监护人姓名": mother.name,
        "监护人身份证号": mother.id_number,
        "开户银行": "云南农信",
        "账号": mother.account,
    }
    for label, value in said.items():
        await dialog.get_by_label(label, exact=True).fill(value)
    async with visitor.reloading():
        await dialog.get_by_role("button", name="提出变更").click()
    await expect(main.get_by_text("是", exact=True)).to_have_count(2)

    await visitor.choose("civil_affairs", area)
    await visitor.open("/changes")
    await main.get_by_role("button", name="查看").click()
    async with visitor.reloading():
        await dialog.get_by_role("button", name="批准", exact=True).click()
    await visitor.open("/register-leads")
    await expect(main.get_by_text("没有符合条件的记录")).to_be_visible()
    await world.until_books(child, "care", "2026-03", payee_ready=True)
    assert visitor.complaints == []
