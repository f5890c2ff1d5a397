"""Matching's pages as officials use them: a department's file sent, a candidate told, a recipient seen alive."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Locator, expect

from services.matching.api.feeds import AT_ONCE_BYTES
from tests.browser.conftest import County, Visitor
from tests.browser.test_console import has_no_serious_accessibility_problem
from tests.browser.test_disbursement_pages import do, fill, open_first
from tests.e2e.test_doors import newly_certified, outreach_to
from tests.e2e.world import World


async def upload_of(visitor: Visitor, county: County, source: str) -> Locator:
    """The dialog of an official of the county, with the source chosen."""
    await visitor.choose("civil_affairs", county.area)
    await visitor.open("/feeds")
    await visitor.page.get_by_role("button", name="上传数据").click()
    dialog = visitor.page.get_by_role("dialog", name="上传部门数据")
    await dialog.get_by_role("combobox", name="来源").click()
    await visitor.page.get_by_role("option", name=source).click()
    return dialog


async def pick(visitor: Visitor, **options: str) -> None:
    """In the dialog that is open."""
    for label, option in options.items():
        await visitor.page.get_by_role("dialog").get_by_role("combobox", name=label, exact=True).click()
        await visitor.page.get_by_role("option", name=option, exact=True).click()


async def test_a_departments_file_is_sent_and_says_what_was_not_taken_and_why(visitor: Visitor, county: County) -> None:
    dialog = await upload_of(visitor, county, "卫健死亡人口")
    await dialog.get_by_label("数据日期").fill("2026-03-31")
    rows = f"赵敏,530102194408120016,2026-01-20,{county.area}\n赵敏,{county.dead.id_number},2026-01-20,{county.area}\n"
    async with visitor.page.expect_file_chooser() as chooser:
        await dialog.get_by_role("button", name="选择文件").click()
    content = f"姓名,身份证号,死亡日期,行政区划代码\n{rows}".encode("gb18030")
    await (await chooser.value).set_files({"name": "死亡.csv", "mimeType": "text/csv", "buffer": content})
    await expect(dialog.get_by_text("身份证号校验位不符")).to_be_visible()
    await expect(dialog.get_by_role("cell", name="身份证号", exact=True)).to_be_visible()
    await expect(dialog.get_by_text("2 行中退回 1 行")).to_be_visible()
    await has_no_serious_accessibility_problem(visitor)
    await dialog.get_by_role("button", name="关闭").click()
    await visitor.open("/feeds?source=deaths")
    await expect(visitor.page.get_by_role("cell", name="2026-03-31")).to_be_visible()


async def test_a_file_too_large_for_its_answer_is_sent_from_the_form_and_shown_once_it_is_read(
    visitor: Visitor, county: County, tmp_path: Path
) -> None:
    row, room = f"赵敏,{county.dead.id_number},2026-01-20,{county.area}", " " * 130_000  # as wide as a cell may be
    file = tmp_path / "火化.csv"
    file.write_text("姓名,身份证号,火化日期,行政区划代码\n" + f"{row}{room}\n" * 400, encoding="utf-8")
    assert file.stat().st_size > AT_ONCE_BYTES
    dialog = await upload_of(visitor, county, "殡葬火化")
    async with visitor.page.expect_file_chooser() as chooser:
        await dialog.get_by_role("button", name="选择文件").click()
    await (await chooser.value).set_files(file)
    await expect(dialog.get_by_text("采用行数")).to_be_visible(timeout=60_000)
    await expect(dialog.get_by_text("400", exact=True)).to_be_visible()


async def test_a_file_that_is_not_sent_or_not_whole_says_that_nothing_was_kept(
    visitor: Visitor, county: County
) -> None:
    dialog = await upload_of(visitor, county, "殡葬火化")

    async def choose(name: str) -> None:
        async with visitor.page.expect_file_chooser() as chooser:
            await dialog.get_by_role("button", name="选择文件").click()
        await (await chooser.value).set_files({"name": name, "mimeType": "application/pdf", "buffer": b"x"})

    await choose("火化.pdf")
    await expect(dialog.get_by_role("alert")).to_contain_text("没有上传")
    await visitor.page.route("**/upload/**", lambda route: route.abort())
    await choose("火化.csv")
    await expect(dialog.get_by_role("alert")).to_contain_text("没有保存任何内容")


async def test_an_auditor_sends_nothing(visitor: Visitor, county: County) -> None:
    await visitor.choose("auditor", county.area)
    await visitor.open("/feeds")
    await expect(visitor.page.get_by_role("button", name="上传数据")).to_have_count(0)


async def test_a_candidate_is_told_at_the_door_and_the_list_says_so(visitor: Visitor, world: World) -> None:
    person = await newly_certified(world, days_ago=5)
    await outreach_to(world, person, "reminding")
    await open_first(visitor, "township", "/outreach", person.area)
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_text("生活补贴：").first).to_be_visible()
    await pick(visitor, 方式="入户走访")
    await fill(visitor, 说明="已当面告知")
    await has_no_serious_accessibility_problem(visitor)
    await do(visitor, "记录")
    await expect(visitor.page.get_by_role("main").get_by_text("已提醒，待申请")).to_be_visible()
    case = await outreach_to(world, person, "reminded")
    assert (case["reminded_by"], case["note"]) == ("visit", "已当面告知")
    assert visitor.complaints == []


async def test_a_recipient_who_was_seen_alive_needs_no_other_proof_and_one_who_was_not_is_looked_for_again(
    visitor: Visitor, world: World
) -> None:
    area = world.county()
    await world.granted(area, applied_on="2024-01-10")
    await world.heard("matching", ("eligibility",))
    await world.post("matching", "/v1/daily-runs", "admin", {"as_of": "2025-01-05"}, area="53")
    await open_first(visitor, "township", "/proofs-of-life", area)
    await pick(visitor, 结果="未见到本人")
    await fill(visitor, 说明="外出务工")
    await has_no_serious_accessibility_problem(visitor)
    await do(visitor, "记录")
    await expect(visitor.page.get_by_role("cell", name="上次未见到本人")).to_be_visible()
    await open_first(visitor, "township", "/proofs-of-life", area)
    await expect(visitor.page.get_by_role("dialog").get_by_text("外出务工")).to_be_visible()
    await pick(visitor, 验证方式="视频查看", 结果="健在")
    await do(visitor, "记录")
    await expect(visitor.page.get_by_text("没有符合条件的记录")).to_be_visible()
    (proof,) = (await world.get("matching", f"/v1/proofs-of-life?area={area}&status=done", area=area))["items"]
    assert (proof["outcome"], proof["method"], proof["attempts"]) == ("alive", "video", 2)
    assert visitor.complaints == []
