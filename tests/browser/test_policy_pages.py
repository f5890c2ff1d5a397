"""Policy in the browser: the public page without a sign-in, corrections, and trying a change before deciding it."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import County, Visitor
from tests.browser.test_console import has_no_serious_accessibility_problem
from tests.e2e.world import World


async def test_anybody_reads_the_policy_of_an_area_without_signing_in(visitor: Visitor, world: World) -> None:
    await visitor.page.goto(world.url("eligibility", "/v1/public/policy?area=530114&on=2026-03-01"))
    main = visitor.page.get_by_role("main")
    await expect(main.get_by_role("heading", level=1)).to_have_text("云南省昆明市呈贡区残疾人两项补贴政策和办事指南")
    await expect(main.get_by_text("每人每月 100.00 元").first).to_be_visible()
    for title in ("申请材料", "办理流程", "变更记录"):
        await expect(main.get_by_role("heading", name=title)).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)


async def test_a_change_is_tried_and_shown_by_county_level_and_category(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/simulations")
    await visitor.page.get_by_label("月份").fill("2026-02")
    await visitor.page.get_by_role("button", name="测算", exact=True).click()
    main = visitor.page.get_by_role("main")
    for title in ("合计", "按县", "按等级", "按类别", "今后一年"):
        await expect(main.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=15_000)
    await expect(main.get_by_text("120.00").first).to_be_visible()
    assert await visitor.page.get_by_role("alert").count() == 0
    await has_no_serious_accessibility_problem(visitor)


async def test_corrections_are_listed(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/policy-corrections")
    await expect(visitor.page.get_by_role("main").get_by_text("没有需要纠正的规定")).to_be_visible()
    assert await visitor.page.get_by_role("alert").count() == 0
    await has_no_serious_accessibility_problem(visitor)
