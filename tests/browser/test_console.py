"""The console as people use it: a browser, a running system, real rows."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from libs.common.auth import OFFICIALS, Role
from tests.browser.conftest import County, Visitor
from tests.e2e.world import World

REFUSAL = re.compile(r"role\W{1,12}alert\b")

try:
    from axe_playwright_python import async_playwright as axe
except ImportError:
    axe = None

PAGES: dict[str, tuple[str, list[str]]] = {
    "/": ("总览", ["待办事项", "待送达的书面通知", "申请受理", "数据比对", "正常"]),
    "/applications": ("申请受理", ["刘*", "已批准", "呈贡区"]),
    "/changes": ("变更审批", []),
    "/objections": ("复核申请", []),
    "/archive-checks": ("档案抽查", []),
    "/commitments": ("承诺书重签", []),
    "/findings?status=": ("比对发现", []),
    "/cycles": ("发放批次", ["2026-01", "2026-02", "呈贡区"]),
    "/payments": ("发放明细", ["已到账", "110.00", "护理补贴"]),
    "/recoveries": ("追回", ["护理补贴", "110.00", "追回中"]),
    "/cases": ("对账与问题", []),
    "/funds": ("资金账目", ["护理补贴", "可用"]),
    "/statistics": ("统计报表", []),
    "/institutions": ("机构代管资金", []),
    "/tolerance": ("容错纠错", []),
    "/work-funds": ("工作经费", []),
    "/messages": ("消息通知", ["批准通知", "终止通知", "需书面送达"]),
    "/templates": ("消息模板", ["停发通知", "系统自带", "{subsidy}"]),
    "/entitlements": ("资格查询", []),
    "/policies": ("政策参数", ["困难残疾人生活补贴标准", "云民发〔2026〕2号", "已见原文"]),
}


async def has_no_serious_accessibility_problem(visitor: Visitor) -> None:
    """By axe, where it is installed: of the open dialog, or else of the whole page."""
    if axe is None:
        return
    in_dialog = await visitor.page.get_by_role("dialog").count() > 0
    if in_dialog:  # what a dialog scrolls out of sight lies on its white card; axe takes it to lie on what is dimmed
        await visitor.page.add_style_tag(content=".q-dialog__backdrop { background: white !important }")
    await visitor.page.wait_for_function("document.getAnimations().length === 0")  # colours are judged once they stay
    found = await axe.Axe().run(visitor.page, "[role=dialog]" if in_dialog else None)
    serious = [item for item in found.response["violations"] if item["impact"] in ("serious", "critical")]
    assert not serious, "\n".join(
        f"{item['id']}: {item['help']}: {[(node['html'][:160], node['failureSummary']) for node in item['nodes'][:3]]}"
        for item in serious
    )


async def test_nobody_sees_a_page_without_signing_in(visitor: Visitor) -> None:
    for path in ("/", "/applications", "/persons/p1-0"):
        await visitor.open(path)
        assert visitor.page.url == visitor.url + "/sign-in"
    await visitor.page.fill("input[name=token]", "nonsense")
    await visitor.page.get_by_role("button", name="登录").click()
    await expect(visitor.page.get_by_role("alert")).to_have_text("令牌无效或已过期，请重新获取")
    await has_no_serious_accessibility_problem(visitor)


async def test_in_a_demo_one_signs_in_by_choosing_role_and_area(visitor: Visitor) -> None:
    await visitor.open("/sign-in")
    await visitor.page.select_option("select[name=role]", "cdpf")
    await visitor.page.fill("input[name=area]", "5301")
    await visitor.page.get_by_role("button", name="进入演示").click()
    await expect(visitor.page.get_by_text("云南省昆明市 · 残联")).to_be_visible()


async def test_a_token_signs_in_and_signing_out_ends_it(visitor: Visitor, world: World) -> None:
    await visitor.open("/sign-in")
    token = world.bearer("finance", "530114", "李会计")["Authorization"].removeprefix("Bearer ")
    await visitor.page.fill("input[name=token]", token)
    await visitor.page.get_by_role("button", name="登录").click()
    await expect(visitor.page.get_by_text("云南省昆明市呈贡区 · 财政 · 李会计")).to_be_visible()
    await visitor.page.get_by_role("button", name="退出").click()
    await visitor.page.wait_for_url(visitor.url + "/sign-in")
    await visitor.open("/payments")
    assert visitor.page.url == visitor.url + "/sign-in"


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_shows_real_rows(visitor: Visitor, county: County, path: str) -> None:
    title, words = PAGES[path]
    await visitor.choose("civil_affairs", county.area)
    await visitor.open(path)
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text(title)
    for word in words:
        await expect(visitor.page.get_by_role("main").get_by_text(word).first).to_be_visible()
    assert await visitor.page.get_by_role("alert").count() == 0
    assert visitor.complaints == []
    await has_no_serious_accessibility_problem(visitor)


async def test_a_confirmed_finding_is_listed_once_its_status_is_asked_for(visitor: Visitor, county: County) -> None:
    await visitor.choose("township", county.area)
    await visitor.open("/findings")
    main = visitor.page.get_by_role("main")
    await expect(main.get_by_text("没有符合条件的记录")).to_be_visible()
    await visitor.page.get_by_role("combobox", name="状态").click()
    await visitor.page.get_by_role("option", name="已确认").click()
    await main.get_by_role("button", name="查询").click()
    await expect(main.get_by_text("张*")).to_be_visible()
    await main.get_by_role("button", name="查看").click()
    await expect(visitor.page.get_by_role("dialog").get_by_text("入户走访").first).to_be_visible()


async def test_leads_are_ticked_and_verified_together_with_one_reason(visitor: Visitor, world: World) -> None:
    area = "530115"
    for number in ("530102194408120015", "530102194912310029"):
        body = {"kind": "person.missing", "id_number": number, "occurred_on": "2026-01-20", "area": f"{area}001"}
        await world.post("matching", "/v1/events", "township", body, area=f"{area}001")
    await visitor.choose("civil_affairs", area)
    await visitor.open("/findings")
    await visitor.page.get_by_role("checkbox").first.click()
    await visitor.page.get_by_role("button", name="批量核实").click()
    await visitor.page.get_by_label("核实说明（必填）").fill("均已见到本人")
    await visitor.page.get_by_role("button", name="全部排除").click()
    await expect(visitor.page.get_by_text("没有符合条件的记录")).to_be_visible()
    dismissed = await world.get("matching", f"/v1/findings?area={area}&status=dismissed", area=area)
    assert [item["note"] for item in dismissed["items"]] == ["均已见到本人"] * 2


async def test_a_paper_is_taken_away_from_its_page(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/duties")
    async with visitor.page.expect_download() as taken:
        await visitor.page.get_by_role("button", name="下载月度变动表 PDF").click()
    download = await taken.value
    assert (await download.path()).read_bytes().startswith(b"%PDF")


async def test_lists_are_paged_forward_and_back(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", "53")
    await visitor.open("/messages")
    place = visitor.page.get_by_role("status")
    await expect(place).to_contain_text("第 1 页")
    forward, back = (visitor.page.get_by_role("button", name=name) for name in ("下一页", "上一页"))
    await expect(back).to_be_disabled()
    if await forward.is_enabled():  # the county alone does not fill a page
        await forward.click()
        await expect(place).to_contain_text("第 2 页")
        await back.click()
        await expect(place).to_contain_text("第 1 页")


async def test_a_person_is_found_by_resident_id_which_never_enters_an_address(visitor: Visitor, county: County) -> None:
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/")
    await visitor.page.get_by_role("button", name="查找人员").click()
    await visitor.page.get_by_label("身份证号").fill(county.dead.id_number)
    await visitor.page.get_by_role("button", name="查找", exact=True).click()
    await visitor.page.wait_for_url(f"{visitor.url}/persons/{county.dead.person_id}")
    main = visitor.page.get_by_role("main")
    for title in ("经历", "申请与审批", "应发月份", "数据比对", "应发与已发（元）", "发放明细", "消息"):
        await expect(main.get_by_role("heading", name=title, exact=True)).to_be_visible()
    await expect(main.get_by_text("终止通知").first).to_be_visible()
    assert not [url for url in asked if county.dead.id_number in url]
    assert await visitor.page.get_by_role("alert").count() == 0


async def test_a_persons_story_is_one_from_all_services_in_words(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open(f"/persons/{county.dead.person_id}")
    story = visitor.page.locator(".lb-card").filter(has=visitor.page.get_by_role("heading", name="经历", exact=True))
    for word in ("提交申请", "资格评估", "死亡", "发放：已到账", "追回立案", "终止通知"):
        await expect(story.get_by_text(word, exact=True).first).to_be_visible()


async def test_the_first_page_leads_to_letters_whose_delivery_is_recorded(visitor: Visitor, county: County) -> None:
    await visitor.choose("township", county.area)
    await visitor.open("/")
    await visitor.page.get_by_role("link", name="待送达的书面通知").click()
    await visitor.page.wait_for_url(f"{visitor.url}/messages?status=letter_due")
    main = visitor.page.get_by_role("main")
    await expect(main.get_by_text("终止通知").first).to_be_visible()
    await main.get_by_role("row").filter(has_text="终止通知").get_by_role("button", name="查看").first.click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_text("本人已去世，书面告知家属").first).to_be_visible()
    async with visitor.page.expect_download() as taken:
        await dialog.get_by_role("button", name="下载书面通知 PDF").click()
    letter = await (await taken.value).path()
    assert letter.read_bytes().startswith(b"%PDF")
    await dialog.get_by_role("combobox", name="送达方式").click()
    await visitor.page.get_by_role("option", name="家属签收").click()
    await dialog.get_by_role("button", name="登记送达").click()
    await expect(visitor.page.get_by_text("登记送达：已完成")).to_be_visible()


async def test_a_text_is_tried_with_samples_before_it_is_written(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/templates")
    row = visitor.page.get_by_role("row").filter(has_text="停发通知")
    await row.get_by_role("button", name="查看").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_text("自2026年4月起停发")).to_be_visible()
    await dialog.get_by_label("内容").fill("呈贡区民政局：{subsidy}为{name}停发")
    await dialog.get_by_role("button", name="保存为本地区新版本").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("没有占位符 {name}")
    await dialog.get_by_label("内容").fill("呈贡区民政局：{subsidy}自{first_month}起停发，{reason}。{remedy}。")
    await dialog.get_by_role("button", name="预览").click()
    await expect(dialog.get_by_text("呈贡区民政局：重度残疾人护理补贴自2026年4月起停发")).to_be_visible()


async def test_entitled_months_are_looked_up_by_resident_id(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/entitlements")
    main = visitor.page.get_by_role("main")
    await visitor.page.get_by_label("身份证号或人员编号").fill(county.alive.id_number)
    await main.get_by_role("button", name="查询").click()
    await expect(main.get_by_text("申请获批").first).to_be_visible()
    await visitor.page.get_by_label("身份证号或人员编号").fill("530102194408120014")
    await main.get_by_role("button", name="查询").click()
    await expect(visitor.page.get_by_role("alert")).to_be_visible()


async def test_what_the_api_refuses_no_page_can_do(visitor: Visitor, county: County) -> None:
    await visitor.choose("civil_affairs", "530102")
    await visitor.open("/payments")
    await visitor.page.get_by_label("地区代码").fill(county.area)
    await visitor.page.get_by_role("main").get_by_role("button", name="查询").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("无权进行此操作")
    await visitor.open(f"/persons/{county.alive.person_id}")
    await expect(visitor.page.get_by_role("alert").first).to_contain_text("没有找到")
    assert county.alive.name not in await visitor.page.content()


async def test_an_auditor_sees_how_far_events_are_and_that_the_books_hold(visitor: Visitor, county: County) -> None:
    await visitor.choose("auditor", "53")
    await visitor.open("/")
    main = visitor.page.get_by_role("main")
    await expect(main.get_by_text("死信")).to_have_count(5)
    await visitor.page.get_by_role("button", name="立即核对").click()
    await expect(main.get_by_text("成立", exact=True).first).to_be_visible()
    await expect(main.get_by_text("不成立", exact=True)).to_have_count(0)


@pytest.mark.parametrize("role", OFFICIALS)
async def test_every_role_gets_every_page_of_its_menu_without_a_refusal(
    visitor: Visitor, county: County, role: Role
) -> None:
    await visitor.choose(role, county.area)
    for path in PAGES:
        html = await visitor.html(path)
        assert PAGES[path][0] in html
        assert not REFUSAL.search(html), path
    assert REFUSAL.search(await visitor.html("/persons/p1-unknown")), "where there is one it is seen"
