"""A month's payment as the officials do it: drawn up, concurred, approved, submitted, reconciled, by buttons."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

from libs.common.auth import Role
from tests.browser.conftest import County, Visitor
from tests.browser.test_console import has_no_serious_accessibility_problem
from tests.e2e.world import World, until

AREA = "530115"
PERIOD = "2026-02"


async def fill(visitor: Visitor, **values: str) -> None:
    for label, value in values.items():
        await visitor.page.get_by_role("textbox", name=label, exact=True).last.fill(value)


async def press(visitor: Visitor, name: str) -> None:
    await visitor.page.get_by_role("button", name=name, exact=True).last.click()


async def do(visitor: Visitor, name: str) -> None:
    """Presses what shows the page anew."""
    async with visitor.reloading():
        await press(visitor, name)


async def open_first(visitor: Visitor, role: Role, path: str, area: str = AREA) -> None:
    await visitor.choose(role, area)
    await visitor.open(path)
    await visitor.page.get_by_role("button", name="查看").first.click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()


@pytest.fixture(scope="session")
async def waiting(world: World) -> str:
    """A county where somebody is owed two months, and no funds have come."""
    await world.granted(AREA, name="杨梅")
    return AREA


async def test_a_month_is_paid_by_buttons_from_the_funds_to_the_clean_reconciliation(
    visitor: Visitor, world: World, waiting: str
) -> None:
    await visitor.choose("finance", AREA)
    await visitor.open("/funds")
    for subsidy in ("困难残疾人生活补贴", "重度残疾人护理补贴"):
        await visitor.page.get_by_role("combobox", name="补贴项目").click()
        await visitor.page.get_by_role("option", name=subsidy).click()
        await fill(visitor, **{"金额（元）": "100,000.00", "文号": f"财社〔2026〕{subsidy[:2]}"})
        await do(visitor, "登记")
        await expect(visitor.page.get_by_role("main").get_by_text("100,000.00").first).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)

    await visitor.choose("civil_affairs", AREA)
    await visitor.open("/cycles")
    await fill(visitor, 发放月份=PERIOD)
    await do(visitor, "编制")
    await expect(visitor.page.get_by_role("main").get_by_text("已编制")).to_be_visible()

    await open_first(visitor, "cdpf", "/cycles")
    await has_no_serious_accessibility_problem(visitor)
    await do(visitor, "会签")
    await expect(visitor.page.get_by_role("main").get_by_text("残联已会签")).to_be_visible()

    await open_first(visitor, "finance", "/cycles")
    async with visitor.page.expect_download() as downloading:
        await visitor.page.get_by_role("button", name="下载资金申请表 Excel").click()
    assert (await downloading.value).suggested_filename == "资金申请表.xlsx"
    await do(visitor, "审批")
    await expect(visitor.page.get_by_role("main").get_by_text("财政已审批")).to_be_visible()
    await open_first(visitor, "finance", "/cycles")
    await press(visitor, "提交银行")
    await do(visitor, "确定")

    async def closed() -> bool | None:
        items = (await world.get("disbursement", f"/v1/cycles?area={AREA}", area=AREA))["items"]
        return items[0]["status"] == "closed" or None

    await until(closed, "the cycle to be closed")
    await visitor.open("/cycles")
    await expect(visitor.page.get_by_role("main").get_by_text("已对账关闭")).to_be_visible()

    await visitor.open("/cases")
    await fill(visitor, 发放月份=PERIOD)
    await do(visitor, "开始对账")
    await expect(visitor.page.get_by_role("main").get_by_text("无差异")).to_be_visible()
    await visitor.page.get_by_role("button", name="查看").first.click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_text("摘要无误")).to_be_visible()
    await expect(dialog.get_by_text("至今一致")).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)

    await visitor.open("/funds")
    await fill(visitor, 月份=PERIOD)
    await do(visitor, "结账")
    await expect(visitor.page.get_by_role("main").get_by_role("cell", name=PERIOD)).to_be_visible()
    assert visitor.complaints == []


async def test_a_refusal_stands_where_the_answer_would_have_stood(visitor: Visitor, waiting: str) -> None:
    await visitor.choose("finance", AREA)
    await visitor.open("/funds")
    await fill(visitor, **{"金额（元）": "12.345", "文号": "x"})
    await press(visitor, "登记")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("金额（元）最多两位小数")
    await fill(visitor, 月份="2199-01")
    await press(visitor, "结账")
    await expect(visitor.page.get_by_role("alert").last).to_contain_text("当月尚未结束，不能结账")


async def test_an_overpayment_is_repaid_and_the_rest_written_off_by_two_persons(
    visitor: Visitor, world: World, county: County
) -> None:
    await open_first(visitor, "finance", "/recoveries", county.area)
    await fill(visitor, **{"缴回金额（元）": "10", "缴款书号": "缴1"})
    await do(visitor, "登记缴回")
    await expect(visitor.page.get_by_role("main").get_by_text("10.00").first).to_be_visible()
    await open_first(visitor, "civil_affairs", "/recoveries", county.area)
    await fill(visitor, 核销理由="家庭困难")
    await do(visitor, "提出核销")
    await open_first(visitor, "finance", "/recoveries", county.area)
    await has_no_serious_accessibility_problem(visitor)
    await press(visitor, "批准核销")
    await do(visitor, "确定")
    await expect(visitor.page.get_by_role("main").get_by_text("已结案").first).to_be_visible()


async def test_a_persons_month_is_explained_link_by_link(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open(f"/persons/{county.alive.person_id}")
    panel = visitor.page.locator(".lb-card", has=visitor.page.get_by_role("heading", name="应发与已发（元）"))
    await panel.get_by_role("button", name="查看").first.click()
    dialog = visitor.page.get_by_role("dialog")
    for title in ("资格认定", "编入发放批次", "送交银行", "银行已付，记入已发"):
        await expect(dialog.get_by_text(title).first).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)


async def test_an_heir_is_proposed_by_the_township_approved_by_civil_affairs_and_ended_by_both(
    visitor: Visitor, county: County
) -> None:
    await visitor.choose("township", county.dead.area)
    await visitor.open("/heirs")
    await fill(visitor, 逝者人员编号=county.dead.person_id)
    await press(visitor, "下一步")
    await fill(visitor, 与逝者关系="子女", 继承人姓名="张小伟", 开户银行="农业银行")
    await fill(visitor, 账号="6228480000000777", 继承证明文号="公证7号")
    await do(visitor, "提出继承人")
    await open_first(visitor, "civil_affairs", "/heirs?status=proposed", county.area)
    await expect(visitor.page.get_by_role("dialog").get_by_text("公证7号")).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await press(visitor, "批准继承人")
    await do(visitor, "确定")
    await visitor.open("/heirs?status=approved")
    await expect(visitor.page.get_by_role("main").get_by_role("cell", name="张小伟")).to_be_visible()

    await open_first(visitor, "township", "/heirs?status=approved", county.dead.area)
    await fill(visitor, 终止理由="公证书被撤销")
    await do(visitor, "提出终止")
    await open_first(visitor, "civil_affairs", "/heirs?status=ending", county.area)
    await expect(visitor.page.get_by_role("dialog").get_by_text("公证书被撤销")).to_be_visible()
    await press(visitor, "批准终止")
    await do(visitor, "确定")
    await visitor.open("/heirs?status=replaced")
    await expect(visitor.page.get_by_role("main").get_by_role("cell", name="张小伟")).to_be_visible()
    assert visitor.complaints == []


_FORMS: dict[str, dict[str, Any]] = {
    "/work-funds": {"登记": {"事项": "入户核查", "金额（元）": "500", "文号或凭证号": "经1"}},
    "/tolerance": {
        "公布新版本": {
            "文号": "清单1",
            "公布日期": "2026-01-01",
            "施行日期": "2026-01-01",
            "条款（一 内容；二 内容）": "一 首次且及时纠正",
        },
        "登记": {"经办人": "某某", "行为日期": "2026-02-01", "发现途径": "抽查", "事实": "未按时限审核"},
    },
}


@pytest.mark.parametrize("path", _FORMS)
async def test_registers_are_written_by_their_forms(visitor: Visitor, waiting: str, path: str) -> None:
    await visitor.choose("civil_affairs", AREA)
    for button, values in _FORMS[path].items():
        await visitor.open(path)
        await fill(visitor, **values)
        await do(visitor, button)
        shown = next(iter(values.values()))
        await expect(visitor.page.get_by_role("main").get_by_text(re.compile(shown)).first).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
