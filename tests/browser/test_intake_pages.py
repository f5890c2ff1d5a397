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
